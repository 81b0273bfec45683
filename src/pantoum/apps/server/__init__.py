"""Models over HTTP: one thread per model writes for everybody, and whoever asks keeps a state of its own.

serve            the process: socket, signals, end            needs the extra ``serve``
app              every route
admission, keys  who may ask: hosts, pages, keys and their quotas
guard, connection    size, time, the line in the log; limits of a connection
paths            the prefix of a proxy, HEAD, Allow
caller           who asks, and what ends with the request
writing          a request that writes, from fields to texts
completions, responses, chat, embeddings, tokens, scores, sessions    OpenAI's forms and ours
models, catalogue    which models, their reload, load and unload
engine, job      the thread that owns a batch, and what goes to it and comes back
session_table, stores, signing    sessions, where they are kept, states that may leave
operation, metrics    what operators see
refusals, schema, answers, events, recorded, aside    what they say, and large answers
"""
