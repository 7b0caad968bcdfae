// Joins the stretches of each sequence: a workgroup a row and head.

struct Parameters { o: u32, sums: u32, stretches: u32, heads: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> o: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> stretches: array<u32>; // of row i: from number i to number i + 1

const LOWEST: f32 = -1e30;
const NOTHING: f32 = -87.0;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = at.x;
    let row = at.y;
    let first = stretches[p.stretches + row];
    let end = stretches[p.stretches + row + 1u];
    let step = p.heads * (HEAD_DIM + 2u); // from one stretch to the next
    let sums_at = p.sums + head * (HEAD_DIM + 2u);
    var highest = LOWEST;
    for (var i = first; i < end; i++) { highest = max(highest, sums[sums_at + i * step + HEAD_DIM]); }
    var total = 0.0;
    for (var i = first; i < end; i++) {
        total += factor(sums[sums_at + i * step + HEAD_DIM], highest) * sums[sums_at + i * step + HEAD_DIM + 1u];
    }
    for (var component = thread; component < HEAD_DIM; component += 64u) {
        var sum = 0.0;
        for (var i = first; i < end; i++) {
            sum += factor(sums[sums_at + i * step + HEAD_DIM], highest) * sums[sums_at + i * step + component];
        }
        o[p.o + (row * p.heads + head) * HEAD_DIM + component] = sum / total;
    }
}

fn factor(high: f32, highest: f32) -> f32 {
    return exp(clamp(high - highest, NOTHING, 0.0));
}
