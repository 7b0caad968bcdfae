// C (+)= alpha · A B, a tile of ROWS×COLUMNS a workgroup and 4×4 numbers a thread. A_COLUMNS and B_COLUMNS tell how the
// factors lie: 0 when the summed index is the fast one ([M,K] and [N,K]), 1 when it is the slow one ([K,M] and [K,N]).
// With several parts (workgroups along z), each sums its own stretch of K into a matrix of its own.

struct Parameters {
    c: u32, a: u32, b: u32,
    m: u32, n: u32, k: u32,
    lda: u32, ldb: u32, ldc: u32,
    alpha: f32,
    add: u32,       // 1: to what is there
    stretch: u32,   // of K, a part
    part: u32,      // numbers from one part's matrix to the next
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> c: array<f32>;
@group(0) @binding(2) var<storage, read_write> a: array<f32>;
@group(0) @binding(3) var<storage, read_write> b: array<f32>;

const STEP: u32 = 16u;
const A_VECTORS: u32 = ROWS / 4u;
const B_VECTORS: u32 = COLUMNS / 4u;
const THREADS: u32 = A_VECTORS * B_VECTORS;
// Vectors from one step of a tile to the next: one more than needed, against conflicts of banks.
const A_NEXT: u32 = A_VECTORS + 1u;
const B_NEXT: u32 = B_VECTORS + 1u;

var<workgroup> a_tile: array<vec4<f32>, STEP * A_NEXT>;
var<workgroup> b_tile: array<vec4<f32>, STEP * B_NEXT>;

fn a_at(row: u32, k: u32, end: u32) -> f32 {
    if (row >= p.m || k >= end) { return 0.0; }
    if (A_COLUMNS == 1u) { return a[p.a + k * p.lda + row]; }
    return a[p.a + row * p.lda + k];
}

fn b_at(column: u32, k: u32, end: u32) -> f32 {
    if (column >= p.n || k >= end) { return 0.0; }
    if (B_COLUMNS == 1u) { return b[p.b + k * p.ldb + column]; }
    return b[p.b + column * p.ldb + k];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first_row = group.y * ROWS;
    let first_column = group.x * COLUMNS;
    let begin = group.z * p.stretch;
    let end = min(p.k, begin + p.stretch);

    let x = thread % B_VECTORS;
    let y = thread / B_VECTORS;
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);

    for (var k = begin; k < end; k += STEP) {
        // A thread brings vectors of a tile whole, because to write one of their numbers may be to write all four:
        // neighbours along the fast index of the factor.
        for (var n = thread; n < STEP * A_VECTORS; n += THREADS) {
            let row = select(n / STEP, n % A_VECTORS, A_COLUMNS == 1u);
            let step = select(n % STEP, n / A_VECTORS, A_COLUMNS == 1u);
            let there = first_row + row * 4u;
            a_tile[step * A_NEXT + row] = vec4<f32>(
                a_at(there, k + step, end),
                a_at(there + 1u, k + step, end),
                a_at(there + 2u, k + step, end),
                a_at(there + 3u, k + step, end));
        }
        for (var n = thread; n < STEP * B_VECTORS; n += THREADS) {
            let column = select(n / STEP, n % B_VECTORS, B_COLUMNS == 1u);
            let step = select(n % STEP, n / B_VECTORS, B_COLUMNS == 1u);
            let there = first_column + column * 4u;
            b_tile[step * B_NEXT + column] = vec4<f32>(
                b_at(there, k + step, end),
                b_at(there + 1u, k + step, end),
                b_at(there + 2u, k + step, end),
                b_at(there + 3u, k + step, end));
        }
        workgroupBarrier();
        for (var i = 0u; i < STEP; i++) {
            let left = a_tile[i * A_NEXT + y];
            let right = b_tile[i * B_NEXT + x];
            s0 += left.x * right;
            s1 += left.y * right;
            s2 += left.z * right;
            s3 += left.w * right;
        }
        workgroupBarrier();
    }

    let row = first_row + y * 4u;
    let column = first_column + x * 4u;
    let start = p.c + group.z * p.part;
    store(start, row, column, s0);
    store(start, row + 1u, column, s1);
    store(start, row + 2u, column, s2);
    store(start, row + 3u, column, s3);
}

fn store(start: u32, row: u32, column: u32, sum: vec4<f32>) {
    if (row >= p.m) { return; }
    for (var i = 0u; i < 4u; i++) {
        if (column + i < p.n) {
            let at = start + row * p.ldc + column + i;
            let product = p.alpha * sum[i];
            if (p.add == 1u) { c[at] = c[at] + product; } else { c[at] = product; }
        }
    }
}
