// What the backward of attention reads of each query's head, 16 threads for each: the log-sum-exp of its scores, and the
// sum of `o` times its gradient.

struct Parameters { stats: u32, lse: u32, o: u32, d_o: u32, heads: u32 } // of all queries of a run

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> stats: array<f32>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> o: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_o: array<f32>;

alias Number = f32;
const THREADS: u32 = 256u;
const LANES: u32 = 16u;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) at: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = (at.x + at.y * groups.x) * 16u + thread / LANES;
    let lane = thread % LANES;
    var sum = 0.0;
    if (head < p.heads) {
        for (var i = lane; i < HEAD_DIM; i += LANES) {
            sum += o[p.o + head * HEAD_DIM + i] * d_o[p.d_o + head * HEAD_DIM + i];
        }
    }
    let total = sum_of(thread, sum);
    if (lane == 0u && head < p.heads) {
        stats[p.stats + head * 2u] = lse[p.lse + head];
        stats[p.stats + head * 2u + 1u] = total;
    }
}
