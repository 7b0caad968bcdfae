// A stretch of up to 64 keys of one sequence for one head of its query, a key a thread: the sum of the values by their
// weights relative to the highest score, then that score, then the sum of the weights.

struct Parameters {
    sums: u32, q: u32, k: u32, v: u32,
    heads: u32,
    group: u32, // query heads of a key head
    keys: u32,
    scale: f32,
    cap: f32, // 0: none
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> q: array<f32>;
@group(0) @binding(3) var<storage, read_write> k: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;

alias Number = f32;
const STRETCH: u32 = 64u;
const THREADS: u32 = STRETCH; // a key each
const LANES: u32 = THREADS;
const STEP: u32 = 32u; // components of a key staged at once
const ROW: u32 = 33u; // numbers from one key to the next: one more than needed, against conflicts of banks
const LOWEST: f32 = -1e30;
const NOTHING: f32 = -87.0;

var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> staged: array<f32, 2112>; // [STRETCH][ROW]
var<workgroup> weights: array<f32, 64>;

fn capped(product: f32) -> f32 {
    let score = product * p.scale;
    if (p.cap == 0.0) { return score; }
    return softcapped(score, p.cap);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = at.x;
    let first_key = at.y * STRETCH;
    let count = min(STRETCH, p.keys - first_key);
    let width = (p.heads / p.group) * HEAD_DIM;
    let keys_at = first_key * width + (head / p.group) * HEAD_DIM;
    for (var i = thread; i < HEAD_DIM; i += STRETCH) { query[i] = q[p.q + head * HEAD_DIM + i]; }

    var product = 0.0;
    for (var first = 0u; first < HEAD_DIM; first += STEP) {
        workgroupBarrier();
        let i = first + thread % STEP;
        for (var row = thread / STEP; row < STRETCH; row += STRETCH / STEP) {
            var number = 0.0;
            if (row < count && i < HEAD_DIM) { number = k[p.k + keys_at + row * width + i]; }
            staged[row * ROW + thread % STEP] = number;
        }
        workgroupBarrier();
        for (var j = 0u; j < min(STEP, HEAD_DIM - first); j++) {
            product += query[first + j] * staged[thread * ROW + j];
        }
    }
    let score = capped(product);

    let highest = largest_of(thread, select(LOWEST, score, thread < count));
    let weight = select(0.0, weight_of(score, highest, NOTHING), thread < count);
    weights[thread] = weight;
    let total = sum_of(thread, weight);

    let to = p.sums + (at.y * p.heads + head) * (HEAD_DIM + 2u);
    for (var i = thread; i < HEAD_DIM; i += STRETCH) {
        var sum = 0.0;
        for (var row = 0u; row < count; row++) { sum += weights[row] * v[p.v + keys_at + row * width + i]; }
        sums[to + i] = sum;
    }
    if (thread == 0u) {
        sums[to + HEAD_DIM] = highest;
        sums[to + HEAD_DIM + 1u] = total;
    }
}
