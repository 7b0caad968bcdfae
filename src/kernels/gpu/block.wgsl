// A block of numbers from one matrix to another of another width.

struct Parameters {
    to: u32, source: u32, rows: u32, width: u32, to_width: u32, to_column: u32, source_width: u32, source_column: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> to: array<f32>;
@group(0) @binding(2) var<storage, read_write> source: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.rows * p.width) { return; }
    let row = i / p.width;
    let column = i % p.width;
    to[p.to + row * p.to_width + p.to_column + column] =
        source[p.source + row * p.source_width + p.source_column + column];
}
