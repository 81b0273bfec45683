"""Models over HTTP: one thread per model writes for everybody, and whoever asks keeps a state of its own.

serve            the process: socket, signals, end            needs the extra ``serve``
app              every route
guard, connection    key, size, time, the line in the log; limits of a connection
caller           who asks, and what ends with the request
writing          a request that writes, from fields to texts
completions, chat, embeddings, scores, sessions    OpenAI's forms and ours
models           which models, and their reload
engine, job      the thread that owns a batch, and what goes to it and comes back
session_table, stores, signing    sessions, where they are kept, states that may leave
metrics, errors, schema, events, recorded, aside    what they say, and large answers
"""
