// Joins stretches of a sequence: a workgroup a row and head. PARTIAL 0: all of it, the outcome. PARTIAL 1: some, to one stretch.

struct Parameters { o: u32, sums: u32, stretches: u32, heads: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> o: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read> stretches: array<u32>; // of row i: from number i to number i + 1

const LOWEST: f32 = -1e30;
const NOTHING: f32 = -87.0;
const RECORD: u32 = HEAD_DIM + 2u; // sums, highest score, total

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = at.x;
    let row = at.y;
    let first = stretches[p.stretches + row];
    let end = stretches[p.stretches + row + 1u];
    let step = p.heads * RECORD; // from one stretch to the next
    let sums_at = p.sums + head * RECORD;
    var highest = LOWEST;
    for (var i = first; i < end; i++) { highest = max(highest, sums[sums_at + i * step + HEAD_DIM]); }
    var total = 0.0;
    for (var i = first; i < end; i++) {
        let high = sums[sums_at + i * step + HEAD_DIM];
        total += weight_of(high, highest, NOTHING) * sums[sums_at + i * step + HEAD_DIM + 1u];
    }
    let to = p.o + (row * p.heads + head) * select(HEAD_DIM, RECORD, PARTIAL == 1u);
    for (var component = thread; component < HEAD_DIM; component += 64u) {
        var sum = 0.0;
        for (var i = first; i < end; i++) {
            let high = sums[sums_at + i * step + HEAD_DIM];
            sum += weight_of(high, highest, NOTHING) * sums[sums_at + i * step + component];
        }
        if (PARTIAL == 1u) { o[to + component] = sum; } else { o[to + component] = sum / total; }
    }
    if (PARTIAL == 1u && thread == 0u) {
        o[to + HEAD_DIM] = highest;
        o[to + HEAD_DIM + 1u] = total;
    }
}
