// C (+)= alpha · A B, a tile of 64×64 a workgroup and 4×4 numbers a thread. A_COLUMNS and B_COLUMNS tell how the factors
// lie: 0 when the summed index is the fast one ([M,K] and [N,K]), 1 when it is the slow one ([K,M] and [K,N]).
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

const TILE: u32 = 64u;
const STEP: u32 = 16u;
const ROW: u32 = 17u; // vec4s in a row of a tile: one more than needed, against conflicts of banks

var<workgroup> a_tile: array<vec4<f32>, 272>; // [STEP][ROW]
var<workgroup> b_tile: array<vec4<f32>, 272>;

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

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first_row = group.y * TILE;
    let first_column = group.x * TILE;
    let begin = group.z * p.stretch;
    let end = min(p.k, begin + p.stretch);

    // Which vector of a tile this thread brings, whole, because to write one of its numbers may be to write all four:
    // neighbours along the fast index of the factor.
    var a_row = thread / 16u;
    var a_k = thread % 16u;
    if (A_COLUMNS == 1u) { a_row = thread % 16u; a_k = thread / 16u; }
    var b_column = thread / 16u;
    var b_k = thread % 16u;
    if (B_COLUMNS == 1u) { b_column = thread % 16u; b_k = thread / 16u; }
    let row_there = first_row + a_row * 4u;
    let column_there = first_column + b_column * 4u;

    let x = thread % 16u;
    let y = thread / 16u;
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);

    for (var k = begin; k < end; k += STEP) {
        a_tile[a_k * ROW + a_row] = vec4<f32>(
            a_at(row_there, k + a_k, end),
            a_at(row_there + 1u, k + a_k, end),
            a_at(row_there + 2u, k + a_k, end),
            a_at(row_there + 3u, k + a_k, end));
        b_tile[b_k * ROW + b_column] = vec4<f32>(
            b_at(column_there, k + b_k, end),
            b_at(column_there + 1u, k + b_k, end),
            b_at(column_there + 2u, k + b_k, end),
            b_at(column_there + 3u, k + b_k, end));
        workgroupBarrier();
        for (var i = 0u; i < STEP; i++) {
            let left = a_tile[i * ROW + y];
            let right = b_tile[i * ROW + x];
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
