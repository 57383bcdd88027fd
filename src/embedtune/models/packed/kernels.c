/* What oneDNN doesn't fuse: attention over texts of different lengths, and what stands between two int8 products.

   Every function runs on the calling thread, keeps no state, and leaves the floating-point environment alone.
   Matrices are row-major; a row is a token. bfloat16 values are passed as uint16_t. */

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
#define ROWS 6 /* queries handled together: 6 rows x 4 registers of scores fill the register file */
#define GELU_LOWEST 0.17f /* gelu(x) > -0.17 for every x */

typedef uint16_t bf16;

static inline __m512 load_bf16(const bf16 *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16));
}

static inline void store_bf16(bf16 *to, __m512 value) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(value));
}

/* e^x for x <= 0 or moderate x: 2^n times a polynomial of degree 6 on [-ln 2 / 2, ln 2 / 2], relative error < 3e-7. */
static inline __m512 exp_ps(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-87.0f));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 720);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* x/2 (1 + erf(x / sqrt 2)); erf by Abramowitz and Stegun 7.1.26, absolute error < 1.5e-7. */
static inline __m512 gelu_ps(__m512 x) {
    __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678f));
    __m512 t = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911f), _mm512_set1_ps(1.0f)));
    __m512 p = _mm512_set1_ps(1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
    p = _mm512_mul_ps(p, t);
    __m512 tail = _mm512_mul_ps(p, exp_ps(_mm512_mul_ps(_mm512_sub_ps(_mm512_setzero_ps(), z), z))); /* 1 - erf(z) */
    __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    __m512 positive = _mm512_fnmadd_ps(half, tail, x); /* x (1 - tail / 2) */
    __m512 negative = _mm512_mul_ps(half, tail);
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), positive, negative);
}

/* keys (length, dim) with row distance `stride` -> pairs (dim / 2, padded): 32 bits hold two neighbouring values. */
static void transpose_keys(const bf16 *keys, int64_t stride, int64_t length, int64_t padded, int64_t dim, uint32_t *to) {
    for (int64_t j = 0; j < length; j++) {
        const uint32_t *row = (const uint32_t *)(keys + j * stride);
        for (int64_t d = 0; d < dim / 2; d++) to[d * padded + j] = row[d];
    }
    for (int64_t d = 0; d < dim / 2; d++) memset(to + d * padded + length, 0, (size_t)(padded - length) * 4);
}

/* values (length, dim) -> pairs (padded / 2, dim): 32 bits hold the values of two neighbouring keys. */
static void interleave_values(const bf16 *values, int64_t stride, int64_t length, int64_t padded, int64_t dim, bf16 *to) {
    static const bf16 nothing[512];
    for (int64_t j = 0; j < padded; j += 2) {
        const bf16 *one = j < length ? values + j * stride : nothing;
        const bf16 *two = j + 1 < length ? values + (j + 1) * stride : nothing;
        for (int64_t d = 0; d < dim; d += LANES) {
            __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(one + d)));
            __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(two + d)));
            _mm512_storeu_si512(to + j * dim + 2 * d, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
    }
}

/* One block of scores: ROWS queries times COLUMNS registers of keys, from key j on. */
#define SCORE_BLOCK(COLUMNS)                                                                                           \
    static inline void score_block_##COLUMNS(const bf16 *const *queries, const uint32_t *keys, int64_t j,              \
                                             int64_t padded, int64_t dim, float *scores) {                             \
        __m512 sum[ROWS][COLUMNS];                                                                                     \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            for (int c = 0; c < COLUMNS; c++) sum[r][c] = _mm512_setzero_ps();                                         \
        for (int64_t d = 0; d < dim / 2; d++) {                                                                        \
            __m512bh key[COLUMNS];                                                                                     \
            for (int c = 0; c < COLUMNS; c++)                                                                          \
                key[c] = (__m512bh)_mm512_loadu_si512(keys + d * padded + j + c * LANES);                              \
            for (int r = 0; r < ROWS; r++) {                                                                           \
                uint32_t pair;                                                                                         \
                memcpy(&pair, queries[r] + 2 * d, 4);                                                                  \
                __m512bh query = (__m512bh)_mm512_set1_epi32((int)pair);                                               \
                for (int c = 0; c < COLUMNS; c++) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], query, key[c]);              \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            for (int c = 0; c < COLUMNS; c++) _mm512_storeu_ps(scores + r * padded + j + c * LANES, sum[r][c]);        \
    }
SCORE_BLOCK(1)
SCORE_BLOCK(2)
SCORE_BLOCK(4)

/* scores (ROWS, padded) of ROWS queries, then their softmax as bfloat16; sums (ROWS) are its denominators. */
static void score_rows(const bf16 *const *queries, const uint32_t *keys, int64_t length, int64_t padded, int64_t dim,
                       float *scores, bf16 *shares, float *sums) {
    int64_t j = 0;
    for (; j + 4 * LANES <= padded; j += 4 * LANES) score_block_4(queries, keys, j, padded, dim, scores);
    for (; j + 2 * LANES <= padded; j += 2 * LANES) score_block_2(queries, keys, j, padded, dim, scores);
    if (j < padded) score_block_1(queries, keys, j, padded, dim, scores);
    for (int r = 0; r < ROWS; r++) {
        float *row = scores + r * padded;
        for (int64_t j = length; j < padded; j++) row[j] = -1e30f;
        __m512 highest = _mm512_set1_ps(-1e30f), total = _mm512_setzero_ps();
        for (int64_t j = 0; j < padded; j += LANES) highest = _mm512_max_ps(highest, _mm512_loadu_ps(row + j));
        highest = _mm512_set1_ps(_mm512_reduce_max_ps(highest));
        for (int64_t j = 0; j < padded; j += LANES) {
            __m512 share = exp_ps(_mm512_sub_ps(_mm512_loadu_ps(row + j), highest));
            if (j + LANES > length) /* what stands beyond the text has no share */
                share = _mm512_maskz_mov_ps((__mmask16)(j >= length ? 0 : (1u << (length - j)) - 1), share);
            total = _mm512_add_ps(total, share);
            store_bf16(shares + r * padded + j, share);
        }
        sums[r] = _mm512_reduce_add_ps(total);
    }
}

#define MIX_ROWS(COLUMNS)                                                                                              \
    static void mix_rows_##COLUMNS(const bf16 *shares, const bf16 *values, int64_t length, int64_t padded,             \
                                   int64_t dim, int64_t first, const float *sums, bf16 *const *to) {                   \
        __m512 sum[ROWS][COLUMNS];                                                                                     \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            for (int c = 0; c < COLUMNS; c++) sum[r][c] = _mm512_setzero_ps();                                         \
        for (int64_t j = 0; j < length; j += 2) {                                                                      \
            __m512bh value[COLUMNS];                                                                                   \
            for (int c = 0; c < COLUMNS; c++)                                                                          \
                value[c] = (__m512bh)_mm512_loadu_si512(values + j * dim + 2 * (first + c * LANES));                   \
            for (int r = 0; r < ROWS; r++) {                                                                           \
                uint32_t pair;                                                                                         \
                memcpy(&pair, shares + r * padded + j, 4);                                                             \
                __m512bh share = (__m512bh)_mm512_set1_epi32((int)pair);                                               \
                for (int c = 0; c < COLUMNS; c++) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], share, value[c]);            \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            for (int c = 0; c < COLUMNS; c++)                                                                          \
                store_bf16(to[r] + first + c * LANES, _mm512_mul_ps(sum[r][c], _mm512_set1_ps(1.0f / sums[r])));       \
    }
MIX_ROWS(2)
MIX_ROWS(4)

/* Softmax attention inside each text. qkv (tokens, 3 heads dim), the queries scaled already; out (tokens, heads dim);
   text t is the rows borders[t] .. borders[t + 1]. dim must be 32, 64, 96 or 128. Returns 0, or 1 without memory. */
int embedtune_attention(const bf16 *qkv, const int64_t *borders, int64_t texts, int64_t heads, int64_t dim, bf16 *out) {
    int64_t longest = 0, width = heads * dim, stride = 3 * width;
    for (int64_t t = 0; t < texts; t++)
        if (borders[t + 1] - borders[t] > longest) longest = borders[t + 1] - borders[t];
    int64_t most = (longest + LANES - 1) / LANES * LANES;
    size_t pairs = (size_t)(most * dim) * 2, lines = (size_t)(ROWS * most);
    char *memory = aligned_alloc(64, (2 * pairs + lines * 6 + 63) / 64 * 64);
    if (memory == NULL) return 1;
    uint32_t *keys = (uint32_t *)memory;
    bf16 *values = (bf16 *)(memory + pairs);
    float *scores = (float *)(memory + 2 * pairs);
    bf16 *shares = (bf16 *)(memory + 2 * pairs + lines * 4);
    bf16 unused[128];
    for (int64_t t = 0; t < texts; t++) {
        int64_t length = borders[t + 1] - borders[t], padded = (length + LANES - 1) / LANES * LANES;
        for (int64_t h = 0; h < heads; h++) {
            const bf16 *base = qkv + borders[t] * stride + h * dim;
            transpose_keys(base + width, stride, length, padded, dim, keys);
            interleave_values(base + 2 * width, stride, length, padded, dim, values);
            for (int64_t i = 0; i < length; i += ROWS) {
                const bf16 *queries[ROWS];
                bf16 *to[ROWS];
                float sums[ROWS];
                for (int r = 0; r < ROWS; r++) {
                    queries[r] = base + (i + r < length ? i + r : length - 1) * stride;
                    to[r] = i + r < length ? out + (borders[t] + i + r) * width + h * dim : unused;
                }
                score_rows(queries, keys, length, padded, dim, scores, shares, sums);
                if (dim % (4 * LANES) == 0)
                    for (int64_t c = 0; c < dim; c += 4 * LANES) mix_rows_4(shares, values, length, padded, dim, c, sums, to);
                else
                    for (int64_t c = 0; c < dim; c += 2 * LANES) mix_rows_2(shares, values, length, padded, dim, c, sums, to);
            }
        }
    }
    free(memory);
    return 0;
}

/* Writes a row as int8, its largest magnitude at 127; returns the scale that turns it back. */
static float quantise_row(const float *row, const float *smooth, int64_t width, int8_t *to) {
    __m512 highest = _mm512_setzero_ps();
    for (int64_t j = 0; j < width; j += LANES) {
        __m512 value = _mm512_loadu_ps(row + j);
        if (smooth != NULL) value = _mm512_mul_ps(value, _mm512_loadu_ps(smooth + j));
        highest = _mm512_max_ps(highest, _mm512_abs_ps(value));
    }
    float most = _mm512_reduce_max_ps(highest), scale = most > 1e-30f ? most / 127.0f : 1.0f;
    __m512 inverse = _mm512_set1_ps(1.0f / scale);
    for (int64_t j = 0; j < width; j += LANES) {
        __m512 value = _mm512_mul_ps(_mm512_loadu_ps(row + j), inverse);
        if (smooth != NULL) value = _mm512_mul_ps(value, _mm512_loadu_ps(smooth + j));
        _mm_storeu_si128((__m128i *)(to + j), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(value)));
    }
    return scale;
}

/* x (rows, width) bfloat16 -> to int8 and scales (rows); smooth (width) multiplies the columns first, NULL for none.
   width is a multiple of 16 and at most 16384, here and below. */
void embedtune_quantise(const bf16 *x, int64_t rows, int64_t width, const float *smooth, int8_t *to, float *scales) {
    float row[16384];
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < width; j += LANES) _mm512_storeu_ps(row + j, load_bf16(x + i * width + j));
        scales[i] = quantise_row(row, smooth, width, to + i * width);
    }
}

/* What an int8 product means: sums * scale * column_scales + bias, 16 columns at once. */
static inline __m512 meaning(const int32_t *sums, __m512 scale, const float *column_scales, const float *bias) {
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums)), scale);
    return _mm512_fmadd_ps(value, _mm512_loadu_ps(column_scales), _mm512_loadu_ps(bias));
}

/* sums (rows, width) int32 -> to (rows, width) bfloat16. */
void embedtune_dequantise(const int32_t *sums, int64_t rows, int64_t width, const float *scales,
                          const float *column_scales, const float *bias, bf16 *to) {
    for (int64_t i = 0; i < rows; i++) {
        __m512 scale = _mm512_set1_ps(scales[i]);
        for (int64_t j = 0; j < width; j += LANES)
            store_bf16(to + i * width + j, meaning(sums + i * width + j, scale, column_scales + j, bias + j));
    }
}

/* gelu of an int8 product, as int8 again: value = new_scales * (to + 128) - 0.17, since gelu never falls lower. */
void embedtune_gelu(const int32_t *sums, int64_t rows, int64_t width, const float *scales, const float *column_scales,
                    const float *bias, int8_t *to, float *new_scales) {
    float row[16384];
    __m512 lowest = _mm512_set1_ps(GELU_LOWEST);
    for (int64_t i = 0; i < rows; i++) {
        __m512 scale = _mm512_set1_ps(scales[i]), highest = _mm512_setzero_ps();
        for (int64_t j = 0; j < width; j += LANES) {
            __m512 value = gelu_ps(meaning(sums + i * width + j, scale, column_scales + j, bias + j));
            value = _mm512_add_ps(value, lowest);
            highest = _mm512_max_ps(highest, value);
            _mm512_storeu_ps(row + j, value);
        }
        float new_scale = _mm512_reduce_max_ps(highest) / 255.0f;
        __m512 inverse = _mm512_set1_ps(1.0f / new_scale);
        for (int64_t j = 0; j < width; j += LANES) {
            __m512i value = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(row + j), inverse));
            value = _mm512_sub_epi32(value, _mm512_set1_epi32(128));
            _mm_storeu_si128((__m128i *)(to + i * width + j), _mm512_cvtsepi32_epi8(value));
        }
        new_scales[i] = new_scale;
    }
}

/* Layer norm of (int8 product + residual), as bfloat16 and as int8 with its scales for the next product.
   column_sums (width) are the sums of the int8 weights where the product's input came from embedtune_gelu, else NULL. */
void embedtune_norm(const int32_t *sums, int64_t rows, int64_t width, const float *scales, const float *column_scales,
                    const float *column_sums, const float *bias, const bf16 *residual, const float *gamma,
                    const float *beta, float epsilon, bf16 *to, const float *smooth, int8_t *quantised,
                    float *new_scales) {
    float row[16384];
    for (int64_t i = 0; i < rows; i++) {
        __m512 scale = _mm512_set1_ps(scales[i]), shift = _mm512_set1_ps(128.0f * scales[i] - GELU_LOWEST);
        __m512 total = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
        for (int64_t j = 0; j < width; j += LANES) {
            __m512 value = meaning(sums + i * width + j, scale, column_scales + j, bias + j);
            if (column_sums != NULL) {
                __m512 moved = _mm512_mul_ps(shift, _mm512_loadu_ps(column_scales + j));
                value = _mm512_fmadd_ps(moved, _mm512_loadu_ps(column_sums + j), value);
            }
            value = _mm512_add_ps(value, load_bf16(residual + i * width + j));
            total = _mm512_add_ps(total, value);
            _mm512_storeu_ps(row + j, value);
        }
        __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(total) / (float)width);
        for (int64_t j = 0; j < width; j += LANES) {
            __m512 value = _mm512_sub_ps(_mm512_loadu_ps(row + j), mean);
            squares = _mm512_fmadd_ps(value, value, squares);
            _mm512_storeu_ps(row + j, value);
        }
        __m512 variance = _mm512_set1_ps(_mm512_reduce_add_ps(squares) / (float)width + epsilon);
        __m512 factor = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_sqrt_ps(variance));
        for (int64_t j = 0; j < width; j += LANES) {
            __m512 value = _mm512_mul_ps(_mm512_loadu_ps(row + j), factor);
            value = _mm512_fmadd_ps(value, _mm512_loadu_ps(gamma + j), _mm512_loadu_ps(beta + j));
            _mm512_storeu_ps(row + j, value);
            store_bf16(to + i * width + j, value);
        }
        new_scales[i] = quantise_row(row, smooth, width, quantised + i * width);
    }
}

/* SHA-256 of the source that this library was made from. */
const char *embedtune_made_from(void) { return MADE_FROM; }
