// Numbers in blocks of a few bits to f32: four a thread. Rows come one after the other, or, with BY_IDS 1, as the list says,
// where those outside of first..first + rows are left alone.

struct Parameters {
    to: u32, blocks: u32, ids: u32,
    count: u32, width: u32, first: u32, rows: u32,
    start: u32,     // byte of row `first` behind the first word
    row_bytes: u32, scale: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> to: array<f32>;
@group(0) @binding(2) var<storage, read_write> blocks: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;

fn word(at: u32) -> u32 { return blocks[p.blocks + at]; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = (id.x + id.y * groups.x * 64u) * 4u;
    if (i >= p.count * p.width) { return; }
    var row = i / p.width;
    if (BY_IDS == 1u) {
        let wanted = ids[p.ids + row];
        if (wanted < p.first || wanted >= p.first + p.rows) { return; }
        row = wanted - p.first;
    }
    let numbers = p.scale * quad(row, i % p.width);
    for (var j = 0u; j < 4u; j++) { to[p.to + i + j] = numbers[j]; }
}
