// sum[targets[g]] += scale · Σ dy[i] over the rows i of group g, in their order: a number of a target row a thread, so that
// no two threads add to the same place.

struct Parameters {
    sum: u32, dy: u32, targets: u32, starts: u32, sources: u32,
    count: u32, width: u32, first: u32, rows: u32, scale: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sum: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read> starts: array<u32>;
@group(0) @binding(5) var<storage, read> sources: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.count * p.width) { return; }
    let group = i / p.width;
    let column = i % p.width;
    let target_row = targets[p.targets + group];
    if (target_row < p.first || target_row >= p.first + p.rows) { return; }
    let at = p.sum + (target_row - p.first) * p.width + column;
    var total = sum[at];
    let end = starts[p.starts + group + 1u];
    for (var k = starts[p.starts + group]; k < end; k++) {
        total += p.scale * dy[p.dy + sources[p.sources + k] * p.width + column];
    }
    sum[at] = total;
}
