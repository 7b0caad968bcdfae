// Numbers of a matrix as it is stored, four neighbours of a row at a time. FORMAT: f32, bf16, or blocks of a few bits as ggml
// stores them, after the formulas of its `dequantize_row_*`, in their order. The shader says by `word` what the words are and
// by its parameters how the rows lie: `start`, the byte of the first one behind word 0; `row_bytes`; `width`, its numbers.

const F32: u32 = 32u;
const BF16: u32 = 16u;

// The four bytes from byte `at` on.
fn bytes_from(at: u32) -> u32 {
    let low = word(at / 4u);
    let shift = 8u * (at % 4u);
    if (shift == 0u) { return low; }
    return (low >> shift) | (word(at / 4u + 1u) << (32u - shift));
}

fn byte(at: u32) -> u32 {
    return (word(at / 4u) >> (8u * (at % 4u))) & 255u;
}

fn signed_byte(at: u32) -> f32 {
    return f32(i32(byte(at) << 24u) >> 24u);
}

// Half precision; small ones in whole steps, so that none is flushed to zero. Infinity and NaN stay what they are.
fn half_at(at: u32) -> f32 {
    let bits = bytes_from(at) & 0xffffu;
    let exponent = bits & 0x7c00u;
    let mantissa = bits & 0x3ffu;
    let none = select(0u, 112u << 23u, exponent == 0x7c00u);
    var size = bitcast<f32>(((exponent | mantissa) << 13u) + (112u << 23u) + none);
    if (exponent == 0u) { size = f32(mantissa) * 5.9604645e-8; }
    return select(size, -size, (bits & 0x8000u) != 0u);
}

fn each_byte(four: u32) -> vec4<f32> {
    return vec4<f32>(vec4<u32>(four, four >> 8u, four >> 16u, four >> 24u) & vec4<u32>(255u));
}

// Four bytes of packed pairs: their lower or their upper halves.
fn nibbles(at: u32, upper: bool) -> u32 {
    let pairs = bytes_from(at);
    return select(pairs, pairs >> 4u, upper) & 0x0f0f0f0fu;
}

// The lowest four bits as bytes of their own.
fn spread(bits: u32) -> u32 {
    return (bits & 1u) | ((bits & 2u) << 7u) | ((bits & 4u) << 14u) | ((bits & 8u) << 21u);
}

// The 6-bit scale and offset of group j of a q4_k or q5_k block, whose twelve packed bytes begin at `at`.
fn scale_and_offset(at: u32, j: u32) -> vec2<f32> {
    if (j < 4u) { return vec2<f32>(f32(byte(at + j) & 63u), f32(byte(at + j + 4u) & 63u)); }
    return vec2<f32>(
        f32((byte(at + j + 4u) & 15u) | ((byte(at + j - 4u) >> 6u) << 4u)),
        f32((byte(at + j + 4u) >> 4u) | ((byte(at + j) >> 6u) << 4u)),
    );
}

// Numbers i..i + 4 of the block that begins at byte `at`; i is a multiple of 4.
fn of_block(at: u32, i: u32) -> vec4<f32> {
    if (FORMAT == 0u) { // q8_0
        let four = bytes_from(at + 2u + i);
        let levels = vec4<i32>(vec4<u32>(four << 24u, four << 16u, four << 8u, four)) >> vec4<u32>(24u);
        return vec4<f32>(levels) * half_at(at);
    }
    if (FORMAT == 1u) { // q4_0
        return (each_byte(nibbles(at + 2u + i % 16u, i >= 16u)) - vec4<f32>(8.0)) * half_at(at);
    }
    if (FORMAT == 2u) { // q4_1
        return each_byte(nibbles(at + 4u + i % 16u, i >= 16u)) * half_at(at) + vec4<f32>(half_at(at + 2u));
    }
    if (FORMAT == 3u) { // q5_0
        let high = spread(bytes_from(at + 2u) >> i) << 4u;
        return (each_byte(nibbles(at + 6u + i % 16u, i >= 16u) | high) - vec4<f32>(16.0)) * half_at(at);
    }
    if (FORMAT == 4u) { // q5_1
        let high = spread(bytes_from(at + 4u) >> i) << 4u;
        return each_byte(nibbles(at + 8u + i % 16u, i >= 16u) | high) * half_at(at) + vec4<f32>(half_at(at + 2u));
    }
    let group = i / 32u;
    if (FORMAT == 5u) { // q4_k
        let factors = scale_and_offset(at + 4u, group);
        let levels = each_byte(nibbles(at + 16u + 32u * (group / 2u) + i % 32u, group % 2u == 1u));
        return (half_at(at) * factors.x) * levels - vec4<f32>(half_at(at + 2u) * factors.y);
    }
    if (FORMAT == 6u) { // q5_k
        let factors = scale_and_offset(at + 4u, group);
        let low = nibbles(at + 48u + 32u * (group / 2u) + i % 32u, group % 2u == 1u);
        let high = ((bytes_from(at + 16u + i % 32u) >> group) & 0x01010101u) << 4u;
        return (half_at(at) * factors.x) * each_byte(low | high) - vec4<f32>(half_at(at + 2u) * factors.y);
    }
    // q6_k
    let part = i / 128u;
    let quarter = (i % 128u) / 32u;
    let l = i % 32u;
    let low = nibbles(at + 64u * part + l + 32u * (quarter % 2u), quarter >= 2u);
    let high = ((bytes_from(at + 128u + 32u * part + l) >> (2u * quarter)) & 0x03030303u) << 4u;
    let scale = half_at(at + 208u) * signed_byte(at + 192u + 8u * part + l / 16u + 2u * quarter);
    return scale * (each_byte(low | high) - vec4<f32>(32.0));
}

// Numbers k..k + 4 of a row, zeros behind its end; k is a multiple of 4.
fn quad(row: u32, k: u32) -> vec4<f32> {
    let at = p.start + row * p.row_bytes;
    if (FORMAT < BF16) { return of_block(at + (k / BLOCK) * BLOCK_BYTES, k % BLOCK); }
    var bits = vec4<u32>(0u);
    if (FORMAT == BF16) {
        let low = bytes_from(at + 2u * k);
        let high = bytes_from(at + 2u * k + 4u);
        bits = vec4<u32>(low << 16u, low & 0xffff0000u, high << 16u, high & 0xffff0000u);
    } else {
        let first = at / 4u + k;
        bits = vec4<u32>(word(first), word(first + 1u), word(first + 2u), word(first + 3u));
    }
    let is_there = vec4<u32>(k) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.width);
    return bitcast<vec4<f32>>(select(vec4<u32>(0u), bits, is_there));
}
