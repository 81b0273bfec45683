/* The C ABI of pantoum's core: every operation of a training step, on float32 arrays.
 *
 * Shapes: B streams, T time steps, N rows (T * B, time-major), E inputs, H hidden units, G gate rows
 * (gates * H), V vocabulary. Arrays are C-contiguous and the caller's: the core keeps no pointer
 * after a call returns, and allocates nothing but scratch memory of its own threads. Sizes, token
 * numbers and aliasing are the caller's to check (the Python side does). A null pointer is allowed
 * where "or null" is written.
 *
 * Each operation takes a pointer to its arguments and returns a status: int pantoum_pack(const pantoum_pack_args*).
 * The list is at the end. pantoum_message() says what a status means. The core never throws, exits or aborts; it may
 * be called from several threads.
 *
 * This file is the only declaration of the operations: kernels/native/declaration.py reads it and makes from it the
 * structs, the checks of the arrays and the calls. So a pointer to numbers says its shape at the head of its comment,
 * in fields of its struct or in letters, and whether it may be null: [count, depth] or null. A pointer to what is
 * const is only read.
 */
#ifndef PANTOUM_CORE_H
#define PANTOUM_CORE_H

#include <stdint.h>

#if defined(_WIN32)
#define PANTOUM_API __declspec(dllexport)
#elif defined(__GNUC__)
#define PANTOUM_API __attribute__((visibility("default")))
#else
#define PANTOUM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PANTOUM_ABI 15

enum {
  PANTOUM_OK = 0,
  PANTOUM_OUT_OF_MEMORY = 1,
  PANTOUM_UNSUPPORTED = 2,
  PANTOUM_BAD_ARGUMENT = 3,
  PANTOUM_NOT_FINITE = 4
};
enum { PANTOUM_FLOAT32 = 0, PANTOUM_BF16 = 1, PANTOUM_INT8 = 2 }; /* precision of a product's operands */

/* ---- the library ---------------------------------------------------------------------------- */
PANTOUM_API int pantoum_abi(void); /* PANTOUM_ABI of the library */
PANTOUM_API const char* pantoum_message(int status);
PANTOUM_API const char* pantoum_isa(void);          /* the path in use, by its folder in core/arch */
PANTOUM_API int pantoum_set_isa(const char* name);  /* UNSUPPORTED if this machine has not got it */
PANTOUM_API int pantoum_supports(const char* name); /* 1 or 0 */
PANTOUM_API int pantoum_threads(void);              /* of a call from this thread */
PANTOUM_API int pantoum_set_threads(int count);     /* of every call; 0: as many as there are processors */
/* Of the calls from this thread, whatever the number for every call; 0: that number. Threads that work side by side
 * set 1: a call that is alone would take the processors of the others. */
PANTOUM_API int pantoum_set_own_threads(int count);

/* ---- products ------------------------------------------------------------------------------- */
/* A weight [rows, depth] packed for products: `transposed` 0 for x W^T, 1 for d W. With `block` < rows
 * (the gates of a recurrent matrix) each block of rows begins a panel of its own; it divides rows.
 * Panels of INT8 are made from codes (pantoum_pack_codes). With `changed` the panels hold the weight already,
 * but for these rows of it; `transposed` is then 0. */
typedef struct {
  const float* weight; /* [rows, depth] */
  void* panels;        /* pantoum_packed_bytes() of them, 64-byte aligned */
  int64_t rows, depth, block;
  int32_t precision, transposed; /* FLOAT32 or BF16 */
  const int64_t* changed;        /* [changes] or null, ascending; null: all rows */
  int64_t changes;
} pantoum_pack_args;
PANTOUM_API int64_t pantoum_packed_bytes(int64_t rows, int64_t depth, int64_t block, int precision, int transposed);

/* Each row as codes of -127 to 127: scale = max|row| / 127, code = row * (127 / max|row|) to the nearest,
 * ties to even. Below 2^-100 a row counts as zeros, with scale 0; with a number that is not finite its
 * codes are 0 and its scale is NaN. */
typedef struct {
  const float* weight; /* [rows, depth] */
  int8_t* codes;       /* [rows, depth] */
  float* scales;       /* [rows] */
  int64_t rows, depth;
} pantoum_quantize_args;

/* A quantised weight packed for x W^T with INT8. */
typedef struct {
  const int8_t* codes; /* [rows, depth], none -128; depth at most 2^17 */
  const float* scales; /* [rows] */
  void* panels;        /* pantoum_packed_bytes() of them, 64-byte aligned */
  int64_t rows, depth, block;
} pantoum_pack_codes_args;

/* With panels of INT8 each row of x is quantised as a weight's row is, and its products are exact:
 * y = (sum of codes) * (scale of x's row * scale of W's row) + bias, the same bits on every path. */
/* y = x W^T + bias, or with panels packed `transposed` y = x W. */
typedef struct {
  const float* x; /* [count, depth] */
  const void* panels;
  const float* bias; /* [columns] or null */
  float* y;          /* [count, columns] */
  int64_t count, depth, columns, block;
  int32_t precision;
} pantoum_product_args;

/* out = d^T x */
typedef struct {
  const float* d; /* [count, columns] */
  const float* x; /* [count, depth] */
  float* out;     /* [columns, depth] */
  int64_t count, columns, depth;
  int32_t precision;
  int32_t resume; /* go on with the sums that out holds */
} pantoum_weight_gradient_args;

/* out = the sum of the rows of d */
typedef struct {
  const float* d; /* [count, columns] */
  float* out;     /* [columns] */
  int64_t count, columns;
  int32_t resume;
} pantoum_bias_gradient_args;

/* ---- tables --------------------------------------------------------------------------------- */
typedef struct {
  const float* d;        /* [count, columns] */
  const int32_t* tokens; /* [count] */
  float* out;            /* [vocabulary, columns]: for each token the sum of its rows */
  int64_t count, columns, vocabulary;
} pantoum_lookup_gradient_args;

/* Large tables of which a batch uses few rows. Each token uses `each` of them, its use m of all being that of
 * token m / each. */

/* The table: floats; or codes, a number being code * scale, of U rows with the place of each row's among them. Rows
 * that were never used share a place, where all is 0. */
typedef struct {
  const float* rows;     /* [R, columns] or null */
  const int8_t* codes;   /* [U, columns] or null, none -128 */
  const float* scales;   /* [U] or null */
  const int32_t* places; /* [R] or null, each within 0 .. U-1 */
} pantoum_row_table_args;

typedef struct {
  const pantoum_row_table_args* table;
  const int32_t* rows; /* [count, each], each within 0 .. R-1 */
  float* out;          /* [count, columns]: the sum of each token's rows */
  int64_t count, each, columns;
} pantoum_lookup_sum_args;

typedef struct {
  const float* d;        /* [N, columns]: N = count / each */
  const int64_t* uses;   /* [count], each within 0 .. count-1: by row, and within a row in order */
  const int64_t* starts; /* [used], ascending from 0: where in `uses` each row's begin; each has one */
  float* out;            /* [used, columns]: the sum of d over each row's uses */
  int64_t count, used, each, columns;
} pantoum_sum_uses_args;

/* Of the rows in use alone, g being factor * gradient:
 * squares = keep * squares + share * g^2;  table -= rate * g / (sqrt(squares) + epsilon). */
typedef struct {
  float* table;          /* [R, columns] */
  const int64_t* rows;   /* [used], all different */
  const float* gradient; /* [used, columns] */
  float* squares;        /* [R, columns] */
  int64_t used, columns;
  float rate, keep, share, epsilon, factor;
} pantoum_rms_rows_args;

/* ---- cells ---------------------------------------------------------------------------------- */
/* The cells that this core has. A cell's number, its `kind`, is its place. */
typedef struct {
  const char* name;
  int32_t gates;  /* blocks of H rows of the weights */
  int32_t sums;   /* the first gates, which the product of the state adds to; the others take a second
                     product, which waits for the first; 0: no product */
  int32_t memory; /* 1: there is a state c beside h */
  int32_t biased; /* 1: the last gate's product has a bias of its own */
} pantoum_cell;
PANTOUM_API const pantoum_cell* pantoum_cells(int64_t* count);

/* ---- scans ---------------------------------------------------------------------------------- */
/* A cell over T = steps, B = batch, H = units; G = gates * H. The input
 * projection is all of the gates that is known before the loop; with `tape` the gates' values replace it. Operands are
 * the states, and those of a second product, as rows of the product's precision: pantoum_operand_bytes(kept * B, H,
 * precision) of them, kept = T with a tape and 2 without. Null pointers where a cell has no such thing. INT8 leaves no
 * operands; in it a cell with a second product has no tape. */
typedef struct {
  float* projection;       /* [steps, batch, G] */
  float* hidden;           /* [steps + 1, batch, units]: the first is given, the others are written */
  float* cell;             /* [steps + 1, batch, units] or null; memory: likewise */
  float* candidate;        /* [steps, batch, units] or null; biased, with tape: the last gate's product and bias */
  float* outputs;          /* [steps, batch, units] or null: hidden with zeros where rows have ended */
  void* operands;          /* of h */
  void* more_operands;     /* of the second product */
  const void* panels;      /* W_hh packed with block = H; with a second product: of the first gates */
  const void* more_panels; /* of the gates of the second product */
  const float* bias;       /* [units] or null; biased */
  const uint8_t* reset;    /* [steps, batch] or null: the state is zeroed before the step */
  const int64_t* lengths;  /* [batch] or null: from there on a row has ended */
  int64_t steps, batch, units, operands_kept;
  int32_t kind, precision, tape;
} pantoum_scan_args;
PANTOUM_API int64_t pantoum_operand_bytes(int64_t rows, int64_t depth, int precision);

/* The backward pass. `d_projection` may be `gates` themselves. With parts > 1 gradients go back through each of so
 * many equal parts of the steps of one stream without lengths by itself. */
typedef struct {
  const float* gates;     /* [steps, batch, G] as the scan left them */
  const float* hidden;    /* [steps + 1, batch, units] */
  const float* cell;      /* [steps + 1, batch, units] or null; memory */
  const float* candidate; /* [steps, batch, units] or null; biased */
  void* operands;         /* as the scan left them; with fresh_operands scratch: they are made of the states */
  void* more_operands;
  const void* panels; /* packed transposed */
  const void* more_panels;
  const float* d_outputs; /* [steps, batch, units] */
  float* d_state;         /* [parts, batch, units]: in, of the last state; out, of the first */
  float* d_cell;          /* [parts, batch, units] or null; memory: likewise */
  float* d_projection;    /* [steps, batch, G] */
  void* d_operands;       /* scratch, pantoum_operand_bytes(T * B, G, precision) */
  float* d_weight;        /* [G, units] or null */
  float* d_bias;          /* [units] or null; biased */
  float* d_bias_rows;     /* [parts, batch, units] or null; scratch, biased */
  const uint8_t* reset;   /* [steps, batch] or null */
  const int64_t* lengths; /* [batch] or null */
  int64_t steps, batch, units, parts;
  int32_t kind, precision, fresh_operands;
} pantoum_scan_vjp_args;

/* ---- between the layers --------------------------------------------------------------------- */
/* y = x * scale where the hash of (seed, step, layer, stream, position, unit) is at least the threshold
 * (of 65536), else 0. */
typedef struct {
  const float* x;          /* [steps, batch, units] */
  float* y;                /* [steps, batch, units], may be x */
  const uint32_t* streams; /* [batch] */
  int64_t steps, batch, units;
  uint64_t seed;
  uint32_t step, layer, threshold;
  float scale;
  int32_t variational; /* one mask for all steps */
} pantoum_dropout_args;

/* ---- losses --------------------------------------------------------------------------------- */
/* nats and the most probable symbol of each row. The logits are spent; with weight > 0 they become
 * the gradient of weight * (sum of nats). */
typedef struct {
  float* logits;          /* [count, vocabulary] */
  const int32_t* targets; /* [count], each within 0 .. V-1 */
  float* nats;            /* [count] */
  int32_t* predictions;   /* [count] */
  int64_t count, vocabulary;
  float weight;
} pantoum_softmax_args;

/* The same nats and predictions from x W^T + bias + given, without an array of all logits: a tile of
 * rows and columns exists at a time. */
typedef struct {
  const float* x;         /* [count, depth] */
  const void* panels;     /* W [V, depth] packed with block = V */
  const float* bias;      /* [vocabulary] */
  const float* given;     /* [count, vocabulary] or null */
  const int32_t* targets; /* [count], each within 0 .. V-1 */
  float* nats;            /* [count] */
  int32_t* predictions;   /* [count] */
  int64_t count, depth, vocabulary;
  int32_t precision;
} pantoum_losses_args;

/* ---- an entropy coder's frequencies ------------------------------------------------------------ */
/* A row of logits becomes total * softmax(logits), each rounded down to a whole number, and the first of the largest
 * also gets what is then left of `total`, which is the exact sum. NOT_FINITE: the logits of a row are not. */
typedef struct {
  float* logits;                    /* [count, vocabulary] */
  int64_t count, vocabulary, total; /* total: 1 .. 2^24 */
} pantoum_frequencies_args;

/* ---- counted n-grams ------------------------------------------------------------------------ */
/* The contexts of one length that occurred, M of them, and the C continuations of all of them: those of one context
 * lie together, in the order of their tokens, each once. A continuation is a context of the next length. */
typedef struct {
  const int32_t* starts;  /* [M + 1], ascending from 0 to C: where the continuations of each context begin */
  const uint32_t* tokens; /* [C], each within 0 .. V-1: the last token of each continuation */
  const float* shares;    /* [C]: the probability of that token by this length alone */
  const float* left;      /* [M]: what a context leaves to the shorter ones */
  const int8_t* sizes;    /* [M]: a class of how often it occurred, 0 .. 7; -1: nothing followed */
} pantoum_contexts_args;

/* Counts of n-grams beside a network. A context has a class: 8 * its length + its size, for the longest part of it
 * that has a size; without one the class is `shortest`. */
typedef struct {
  const pantoum_contexts_args* lengths; /* [kept]: contexts of 1, 2, .. tokens; those of 1 are all V symbols */
  const float* unigrams;                /* [V]: the probabilities after no context */
  const float* weights;                 /* [8 * (kept + 1)]: the weight of the network for each class */
  int64_t kept, shortest;               /* kept: 1 .. 7 */
} pantoum_counts_args;

/* logits = log(v softmax(logits) + (1 - v) p + 2^-126), p being the probabilities by the counts:
 * p_0 = unigrams,  p_k = left p_(k-1) + shares  of the context of length k, where it occurred. */
typedef struct {
  const pantoum_counts_args* counts;
  const int64_t* nodes; /* [K, count]: each row's context of every length, -1: it did not occur */
  const float* weights; /* [count]: v */
  float* logits;        /* [count, vocabulary] */
  int64_t count, vocabulary;
} pantoum_mix_counts_args;

/* ---- counted contexts that learn while they read --------------------------------------------- */
/* Everything that such a reader has, in arrays of the caller that kernels/context_tables.py makes; sizes that are
 * counted are powers of two, 4 runs and 32 slots at least. A symbol is a path through a binary tree of all symbols:
 * `symbols` are its leaves from left to right, its nodes are numbered in preorder, and each has a middle, the first
 * place of its right part. Other sizes are these. */
enum {
  PANTOUM_CONTEXT_FOLLOWED = 66560,
  PANTOUM_CONTEXT_MAPS = 22912,
  PANTOUM_CONTEXT_LINKS = 21504,
  PANTOUM_CONTEXT_WEIGHTS = 749056,
  PANTOUM_CONTEXT_FINALS = 20800,
  PANTOUM_CONTEXT_CURVES = 1622016,
  PANTOUM_CONTEXT_WHERE = 16,
  PANTOUM_CONTEXT_PENDING = 512
};
typedef struct {
  const int32_t* symbols; /* [vocabulary] */
  const int32_t* places;  /* [vocabulary]: where each symbol is among the leaves */
  const int32_t* middles; /* [vocabulary - 1] */
  const int32_t* kinds;   /* [vocabulary]: 1: of a word, 2: a digit, 3: ends a line, 4: begins a word, 0: another */
  const int32_t* folds;   /* [vocabulary]: the symbol that it counts as within a word */
  const float* logits;    /* [4096]: of the middles of so many equal parts of 0 .. 1 */
  uint32_t* slots;        /* [slot_count] */
  uint64_t* runs;         /* [run_count] */
  int32_t* matches;       /* [2, match_count] */
  int32_t* history;       /* [history_size] */
  uint32_t* followed;     /* [66560] */
  uint32_t* maps;         /* [22912] */
  float* links;           /* [21504, 2] */
  float* weights;         /* [749056] */
  float* finals;          /* [20800] */
  float* curves;          /* [1622016] */
  int64_t* where;         /* [16] */
  double* masses;         /* [2, vocabulary + 1] */
  uint64_t* pending;      /* [512] */
  int64_t vocabulary, slot_count, run_count, match_count, history_size;
} pantoum_context_mixer_args;

/* Read symbols: each is scored, then learned from. Logits of two networks at most are mixed with the contexts.
 * `chances`: of each decision the chance of 2^22 that was given to the way that the symbol takes, shifted by one, and
 * whether that is right; as many for each symbol as its path has decisions. */
typedef struct {
  const pantoum_context_mixer_args* mixer;
  const int32_t* tokens; /* [count], each within 0 .. V-1 */
  const float* given;    /* [count, networks, vocabulary] or null, without networks */
  const uint8_t* resets; /* [count] or null: nothing before the symbol is a context any more */
  float* nats;           /* [count] or null; null: learn how often what came, without predicting */
  uint32_t* chances;     /* [Q] or null */
  int64_t count, networks, vocabulary;
} pantoum_read_contexts_args;

/* The probabilities of the next symbol. Nothing is learned: of the mixer only `where`, `masses` and `pending` change.
 * With `mixed` these logits become logarithms of (1 - share) softmax + share p. */
typedef struct {
  const pantoum_context_mixer_args* mixer;
  const float* given;   /* [networks, vocabulary] or null */
  const int32_t* after; /* [after_count] or null: only these after the last that is no symbol are before the next one */
  float* probabilities; /* [vocabulary] */
  float* mixed;         /* [vocabulary] or null */
  int64_t networks, after_count, vocabulary;
  float share;
} pantoum_context_probabilities_args;

/* A symbol, decision by decision: `outcome` -1 begins it, 0 (left) and 1 are the way at the node before. */
typedef struct {
  const pantoum_context_mixer_args* mixer;
  const float* given; /* [networks, vocabulary] or null; read where a symbol begins */
  int32_t* symbol;    /* [1]: the symbol that the outcome was the last decision of; -1: there are more */
  uint32_t* chance;   /* [1]: of right at the next node, of 2^22; after the last decision untouched */
  int64_t networks, vocabulary;
  int32_t outcome;
} pantoum_decide_context_args;

/* ---- the update of weights ------------------------------------------------------------------ */
typedef struct {
  const float* const* arrays; /* [count] arrays */
  const int64_t* sizes;       /* [count] */
  double* total;              /* [1]: the sum of all their squares */
  int64_t count;
} pantoum_sum_of_squares_args;

/* first = beta1 * first + share1 * g;  second = beta2 * second + share2 * g^2;
 * parameter = keep * parameter - rate * first / (root * sqrt(second) + epsilon)
 * With the numbers of rows, other rows and their moments stay as they are. */
typedef struct {
  float* parameter;      /* [R, columns] */
  const int64_t* rows;   /* [used] or null, all different; null: all rows, used = R */
  const float* gradient; /* [used, columns] */
  float* first;          /* [R, columns] */
  float* second;         /* [R, columns] */
  int64_t used, columns;
  float beta1, share1, beta2, share2, root, epsilon, rate, keep;
} pantoum_adamw_args;

/* Muon over blocks [rows, depth], each on its own:
 * momentum = beta * momentum + share * g;  u = beta * momentum + share * g;
 * parameter = keep * parameter - rate * y, where y is u / |u| after `steps` times
 * y <- a y + (b y y^T + c (y y^T)^2) y, which moves its singular values towards 1. */
typedef struct {
  float* const* parameters;      /* [count] blocks; a block's rows lie together */
  const float* const* gradients; /* [count] */
  float* const* momenta;         /* [count] */
  const int64_t* sizes;          /* [count, 2]: rows, depth */
  const float* rates;            /* [count] */
  const float* coefficients;     /* [steps, 3]: a b c */
  int64_t count, steps;
  float beta, share, keep;
  int32_t precision; /* of the products' operands */
} pantoum_muon_args;

/* averaged += share * (parameter - averaged) */
typedef struct {
  float* averaged;        /* [size] */
  const float* parameter; /* [size] */
  int64_t size;
  float share;
} pantoum_average_args;

/* ---- adapting ------------------------------------------------------------------------------- */
/* squares = keep * squares + share * (the sum of a row's squares) */
typedef struct {
  const float* gradient; /* [rows, columns], columns at least 1 */
  float* squares;        /* [rows] */
  int64_t rows, columns;
  float keep, share;
} pantoum_row_squares_args;

/* parameter += back * (trained - parameter) - speed * gradient, of a table of R rows in `used` of them */
typedef struct {
  float* parameter;      /* [R, columns], columns at least 1 */
  const int64_t* rows;   /* [used] or null, each once and within R; null: R = used, all of them */
  const float* gradient; /* [used, columns] */
  const float* trained;  /* [R, columns] */
  const float* speed;    /* [R] */
  const float* back;     /* [R] */
  int64_t used, columns;
} pantoum_adapt_args;

/* ---- a step of a whole model ----------------------------------------------------------------- */
/* One layer. Matrices are packed with block = H. */
typedef struct {
  const void* input;          /* W_ih, or null: the input projection is a row of the table */
  const void* recurrent;      /* W_hh, with a second product that of the first gates; or null */
  const void* more_recurrent; /* of the gates of the second product */
  const float* input_bias;    /* [G] */
  const float* bias;          /* [H] or null; biased */
  float* hidden;              /* [rows, H]: the states, updated in place */
  float* cell;                /* [rows, H] or null; memory */
  int64_t inputs;             /* the first layer: the embedding's width, 0 without one; others: H */
  int32_t input_precision, recurrent_precision;
} pantoum_layer_args;

typedef struct {
  const pantoum_layer_args* layers; /* [layer_count] */
  const float* table;               /* [V, G] or null: the first layer's input projections */
  const float* embedding;           /* [V, E] or null: tokens are one-hot */
} pantoum_member_args;

/* The rows first .. first + count - 1 of a batch read their tokens; their next tokens' logits come out.
 *
 * With n-grams, to a row's logits is added the sum of a row of each order's table, in order. The n-gram of order n
 * ends with the token read; its key is the sum over k = 0 .. n-1 of (k tokens ago: number + 1, or 0) * (V + 1)^k,
 * its row the upper bits of key * 0x9E3779B97F4A7C15, all modulo 2^64.
 *
 * With counts the logits become those of the mixture (pantoum_mix_counts): the contexts are those that end with the
 * token read, v is the weight of their class. */
typedef struct {
  const pantoum_member_args* members; /* [member_count] of one shape, their outputs side by side to the head */
  const int32_t* tokens;              /* [rows], each within 0 .. V-1 */
  const void* head;                   /* [V, head_inputs], packed */
  const float* head_bias;             /* [vocabulary] */
  const void* projection; /* [head_inputs, member_count * H], packed, or null: head_inputs = member_count * H */
  const pantoum_row_table_args* ngrams; /* [order_count * ngram_rows, V]: each order's table after the one before, or
                                           null */
  const int64_t* orders;                /* [order_count] or null; ascending, each within 1 .. recent_kept + 1 */
  float* recent; /* [rows, recent_kept] or null: the tokens before, oldest first, each its number + 1, 0: none.
                    Updated in place */
  const pantoum_counts_args* counts; /* or null */
  float* counts_recent;              /* [rows, K] or null: as `recent`; nothing counts before a 0 */
  float* logits;                     /* [count, vocabulary] */
  int64_t first, count, vocabulary, units, member_count, layer_count, head_inputs;
  int64_t order_count, ngram_rows, recent_kept; /* ngram_rows: a power of two, at least 2 */
  int32_t kind;
  int32_t head_precision, projection_precision;
} pantoum_step_args;

/* ---- the next token ------------------------------------------------------------------------- */
/* One draw for each of the rows first .. first + count - 1 of a batch, whose settings and counters are
 * arrays of a value a row. A row that was drawn has its token, the model's own log-probability of it in
 * nats (whatever the settings), and its counters moved on. NOT_FINITE: a row's logits are not; the rows
 * before it may have been drawn. */
typedef struct {
  const float* logits;       /* [count, vocabulary] */
  const int32_t* banned;     /* [banned_count]: never drawn */
  const double* temperature; /* [rows]; 0: the most probable token */
  const double* top_p;       /* [rows]; 1: off */
  const double* min_p;       /* [rows]; 0: off */
  const double* penalty;     /* [rows], of recent tokens; 1: off */
  const int32_t* top_k;      /* [rows]; 0: off */
  const uint64_t* seed;      /* [rows] */
  const uint64_t* stream;    /* [rows] */
  uint64_t* position;        /* [rows]; the number of the draw within its stream: moves on by 1 */
  int32_t* recent;           /* [rows, window] or null: a ring of the last tokens; -1: none */
  int64_t* written;          /* [rows]; tokens drawn so far: moves on by 1 */
  double* nats;              /* [rows], of all of them */
  double* log_probability;   /* [rows] */
  int32_t* tokens;           /* [rows] */
  const uint32_t* allowed;   /* [rows, words] or null: bit t % 32 of word t / 32 of a row, whether token t may be
                                drawn; words: at least vocabulary / 32, rounded up */
  int64_t first, count, vocabulary, banned_count, window, words;
} pantoum_sample_args;

/* ---- every operation ------------------------------------------------------------------------ */
/* First those that multiply matrices, or whose operands lie as products read them; then those of vectors alone,
 * which are not compiled again for a path that has the vectors of another one. */
/* clang-format off */
#define PANTOUM_PRODUCT_OPERATIONS(X) \
  X(pack) X(quantize) X(pack_codes) X(product) X(weight_gradient) X(scan) X(scan_vjp) X(softmax) X(losses) X(muon) \
  X(step)
#define PANTOUM_VECTOR_OPERATIONS(X) \
  X(bias_gradient) X(lookup_gradient) X(lookup_sum) X(sum_uses) X(rms_rows) X(dropout) X(frequencies) \
  X(mix_counts) X(read_contexts) X(context_probabilities) X(decide_context) X(sum_of_squares) X(adamw) X(average) \
  X(row_squares) X(adapt) X(sample)
/* clang-format on */
#define PANTOUM_DECLARE(name) PANTOUM_API int pantoum_##name(const pantoum_##name##_args*);
PANTOUM_PRODUCT_OPERATIONS(PANTOUM_DECLARE)
PANTOUM_VECTOR_OPERATIONS(PANTOUM_DECLARE)
#undef PANTOUM_DECLARE

#ifdef __cplusplus
}
#endif
#endif
