// Numbers in blocks of a few bits, as ggml stores them, to f32: a number a thread. Rows come one after the other from
// `first` on, or, with BY_IDS 1, as the list says, where those outside of first..first + rows are left alone. The formulas
// are ggml's `dequantize_row_*`, in its order.

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

fn byte(at: u32) -> u32 {
    return (blocks[p.blocks + at / 4u] >> (8u * (at % 4u))) & 255u;
}

fn signed_byte(at: u32) -> f32 {
    let value = byte(at);
    return f32(i32(value << 24u) >> 24u);
}

// Half precision; small ones in whole steps, so that none is flushed to zero.
fn half_at(at: u32) -> f32 {
    let bits = byte(at) | (byte(at + 1u) << 8u);
    let exponent = bits & 0x7c00u;
    let mantissa = bits & 0x3ffu;
    var size = bitcast<f32>(((exponent | mantissa) << 13u) + (112u << 23u));
    if (exponent == 0u) { size = f32(mantissa) * 5.9604645e-8; }
    return select(size, -size, (bits & 0x8000u) != 0u);
}

// The 6-bit scale and offset of group j of a q4_k or q5_k block, whose twelve packed bytes begin at `at`.
fn scale_and_offset(at: u32, j: u32) -> vec2<f32> {
    if (j < 4u) { return vec2<f32>(f32(byte(at + j) & 63u), f32(byte(at + j + 4u) & 63u)); }
    return vec2<f32>(
        f32((byte(at + j + 4u) & 15u) | ((byte(at + j - 4u) >> 6u) << 4u)),
        f32((byte(at + j + 4u) >> 4u) | ((byte(at + j) >> 6u) << 4u)),
    );
}

fn nibble(at: u32, upper: bool) -> u32 {
    let pair = byte(at);
    return select(pair & 15u, pair >> 4u, upper);
}

// Number `i` of the block that begins at byte `at`.
fn value(at: u32, i: u32) -> f32 {
    if (FORMAT == 0u) { // q8_0
        return signed_byte(at + 2u + i) * half_at(at);
    }
    if (FORMAT == 1u) { // q4_0
        return f32(i32(nibble(at + 2u + i % 16u, i >= 16u)) - 8) * half_at(at);
    }
    if (FORMAT == 2u) { // q4_1
        return f32(nibble(at + 4u + i % 16u, i >= 16u)) * half_at(at) + half_at(at + 2u);
    }
    if (FORMAT == 3u) { // q5_0
        let high = (byte(at + 2u + i / 8u) >> (i % 8u)) & 1u;
        return f32(i32(nibble(at + 6u + i % 16u, i >= 16u) | (high << 4u)) - 16) * half_at(at);
    }
    if (FORMAT == 4u) { // q5_1
        let high = (byte(at + 4u + i / 8u) >> (i % 8u)) & 1u;
        return f32(nibble(at + 8u + i % 16u, i >= 16u) | (high << 4u)) * half_at(at) + half_at(at + 2u);
    }
    let group = i / 32u;
    if (FORMAT == 5u) { // q4_k
        let factors = scale_and_offset(at + 4u, group);
        let low = nibble(at + 16u + 32u * (group / 2u) + i % 32u, group % 2u == 1u);
        return (half_at(at) * factors.x) * f32(low) - half_at(at + 2u) * factors.y;
    }
    if (FORMAT == 6u) { // q5_k
        let factors = scale_and_offset(at + 4u, group);
        let low = nibble(at + 48u + 32u * (group / 2u) + i % 32u, group % 2u == 1u);
        let high = (byte(at + 16u + i % 32u) >> group) & 1u;
        return (half_at(at) * factors.x) * f32(low | (high << 4u)) - half_at(at + 2u) * factors.y;
    }
    // q6_k
    let part = i / 128u;
    let quarter = (i % 128u) / 32u;
    let l = i % 32u;
    let low = nibble(at + 64u * part + l + 32u * (quarter % 2u), quarter >= 2u);
    let high = (byte(at + 128u + 32u * part + l) >> (2u * quarter)) & 3u;
    let scale = half_at(at + 208u) * signed_byte(at + 192u + 8u * part + l / 16u + 2u * quarter);
    return scale * f32(i32(low | (high << 4u)) - 32);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.count * p.width) { return; }
    var row = i / p.width;
    if (BY_IDS == 1u) {
        let wanted = ids[p.ids + row];
        if (wanted < p.first || wanted >= p.first + p.rows) { return; }
        row = wanted - p.first;
    }
    let column = i % p.width;
    let at = p.start + row * p.row_bytes + (column / BLOCK) * BLOCK_BYTES;
    to[p.to + i] = p.scale * value(at, column % BLOCK);
}
