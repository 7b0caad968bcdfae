// x[i] = scale·table[ids[i]], a number a thread, for ids in a stretch of the table. BF16 1: two numbers in a word.

struct Parameters {
    x: u32, table: u32, ids: u32,
    count: u32, width: u32, first: u32, rows: u32, scale: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> table: array<u32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.count * p.width) { return; }
    let row = ids[p.ids + i / p.width];
    if (row < p.first || row >= p.first + p.rows) { return; }
    let at = p.table + (row - p.first) * p.width + i % p.width;
    var bits = 0u;
    if (BF16 == 1u) {
        let word = table[at / 2u];
        bits = select(word << 16u, word & 0xffff0000u, (at & 1u) == 1u);
    } else {
        bits = table[at];
    }
    x[p.x + i] = p.scale * bitcast<f32>(bits);
}
