// What the shaders of attention share: a block of 64 rows against tiles of 32 rows, by 256 threads. A row has VECTORS
// vectors of four numbers; a shader says by `block_at` and `tile_at` what they are, where `which` is 0 for queries and keys,
// 1 for values and the gradient of the outcome. A thread is one of 16 lanes of one of 16 groups. It has rows
// `group + 16·i` of the block, as the components of a vector, and rows `lane` and `lane + 16` of the tile; of sums over the
// tile it has vectors `lane + 16·j`, for its rows of the block. Vectors in a workgroup's memory are written whole: to write
// one component may be to write all four.

const BLOCK: u32 = 64u;
const TILE: u32 = 32u;
const THREADS: u32 = 256u;
const STEP: u32 = 4u; // vectors of a row that a product takes at once
const ROW: u32 = 5u; // vectors from one row of those to the next: one more than needed, against conflicts of banks

// Differences of scores below this give no weight that f32 could add.
const NOTHING: f32 = -87.0;

var<workgroup> staged: array<vec4<f32>, 512>;
var<workgroup> weights: array<vec4<f32>, 512>; // of each row of the tile, the block's rows by their groups

var<private> thread: u32;
var<private> group: u32;
var<private> lane: u32;

fn stand_at(index: u32) {
    thread = index;
    group = index % 16u;
    lane = index / 16u;
}

// The block's rows of this thread.
fn rows() -> vec4<u32> {
    return vec4<u32>(group) + vec4<u32>(0u, 16u, 32u, 48u);
}

// Whether queries at these positions see keys at those.
fn seen(queries: vec4<u32>, keys: vec4<u32>) -> vec4<bool> {
    return (keys <= queries) & ((queries - keys) < vec4<u32>(p.window));
}

// By their bits: see `finite.wgsl`.
fn are_numbers(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
}

fn capped(products: vec4<f32>) -> vec4<f32> {
    let scores = products * p.scale;
    if (p.cap == 0.0) { return scores; }
    let inside = p.cap * tanh(clamp(scores / p.cap, vec4<f32>(-15.0), vec4<f32>(15.0)));
    return select(scores, inside, are_numbers(scores));
}

// What a score gains with its product of query and key.
fn slope(scores: vec4<f32>) -> vec4<f32> {
    if (p.cap == 0.0) { return vec4<f32>(p.scale); }
    let part = scores / p.cap;
    return p.scale * (vec4<f32>(1.0) - part * part);
}

// `exp(scores − highest)`, where the weight is not too small to count; what is no number stays none.
fn weight(scores: vec4<f32>, highest: vec4<f32>) -> vec4<f32> {
    let differences = scores - highest;
    let weights = exp(clamp(differences, vec4<f32>(NOTHING), vec4<f32>(0.0)));
    return select(differences, weights, are_numbers(scores) & are_numbers(highest));
}

// The products of this thread's rows of the block with its two rows of the tile, a vector for each of these.
fn products(which: u32) -> mat2x4<f32> {
    var one = vec4<f32>(0.0);
    var other = vec4<f32>(0.0);
    let row = thread / STEP; // each of the block's, and for some threads one of the tile's
    let column = thread % STEP;
    for (var first = 0u; first < VECTORS; first += STEP) {
        workgroupBarrier();
        let is_there = first + column < VECTORS;
        var numbers = vec4<f32>(0.0);
        if (is_there) { numbers = block_at(which, row, first + column); }
        staged[row * ROW + column] = numbers;
        if (row < TILE) {
            if (is_there) { numbers = tile_at(which, row, first + column); }
            staged[(BLOCK + row) * ROW + column] = numbers;
        }
        workgroupBarrier();
        for (var at = 0u; at < STEP; at++) {
            let r0 = staged[group * ROW + at];
            let r1 = staged[(group + 16u) * ROW + at];
            let r2 = staged[(group + 32u) * ROW + at];
            let r3 = staged[(group + 48u) * ROW + at];
            let a = staged[(BLOCK + lane) * ROW + at];
            let b = staged[(BLOCK + lane + 16u) * ROW + at];
            one += vec4<f32>(dot(r0, a), dot(r1, a), dot(r2, a), dot(r3, a));
            other += vec4<f32>(dot(r0, b), dot(r1, b), dot(r2, b), dot(r3, b));
        }
    }
    return mat2x4<f32>(one, other);
}

// Has all threads know the weights of this thread's two rows of the tile.
fn share(one: vec4<f32>, other: vec4<f32>) {
    weights[lane * 16u + group] = one;
    weights[(lane + 16u) * 16u + group] = other;
}

// Sums over the tile for this thread's rows of the block, four components in each matrix.
struct Sums { a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32> }

fn outer(factors: vec4<f32>, components: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        factors.x * components, factors.y * components, factors.z * components, factors.w * components);
}

fn add_row(row: u32, at: u32, sums: ptr<function, Sums>) {
    let factors = weights[row * 16u + group];
    let first = at * VECTORS + lane;
    if (lane < VECTORS) { (*sums).a += outer(factors, staged[first]); }
    if (VECTORS > 16u && lane + 16u < VECTORS) { (*sums).b += outer(factors, staged[first + 16u]); }
    if (VECTORS > 32u && lane + 32u < VECTORS) { (*sums).c += outer(factors, staged[first + 32u]); }
    if (VECTORS > 48u && lane + 48u < VECTORS) { (*sums).d += outer(factors, staged[first + 48u]); }
}

// Adds the tile's first `count` rows times their shared weights. STAGED rows, a multiple of 4, fit into memory at once.
fn add_tile(which: u32, count: u32, sums: ptr<function, Sums>) {
    for (var first = 0u; first < count; first += STAGED) {
        workgroupBarrier();
        for (var n = thread; n < STAGED * VECTORS; n += THREADS) {
            staged[n] = tile_at(which, first + n / VECTORS, n % VECTORS);
        }
        workgroupBarrier();
        for (var row = 0u; row < STAGED; row += 4u) {
            add_row(first + row, row, sums);
            add_row(first + row + 1u, row + 1u, sums);
            add_row(first + row + 2u, row + 2u, sums);
            add_row(first + row + 3u, row + 3u, sums);
        }
    }
}

fn scaled(sums: mat4x4<f32>, factors: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(sums[0] * factors.x, sums[1] * factors.y, sums[2] * factors.z, sums[3] * factors.w);
}

fn scale_sums(sums: ptr<function, Sums>, factors: vec4<f32>) {
    (*sums).a = scaled((*sums).a, factors);
    if (VECTORS > 16u) { (*sums).b = scaled((*sums).b, factors); }
    if (VECTORS > 32u) { (*sums).c = scaled((*sums).c, factors); }
    if (VECTORS > 48u) { (*sums).d = scaled((*sums).d, factors); }
}

// Writes the sums for the rows that the block has with the shader's `write`.
fn write_sums(which: u32, sums: ptr<function, Sums>) {
    write_row(which, group, (*sums).a[0], (*sums).b[0], (*sums).c[0], (*sums).d[0]);
    write_row(which, group + 16u, (*sums).a[1], (*sums).b[1], (*sums).c[1], (*sums).d[1]);
    write_row(which, group + 32u, (*sums).a[2], (*sums).b[2], (*sums).c[2], (*sums).d[2]);
    write_row(which, group + 48u, (*sums).a[3], (*sums).b[3], (*sums).c[3], (*sums).d[3]);
}

fn write_row(which: u32, row: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    if (row >= block_rows) { return; }
    if (lane < VECTORS) { write(which, row, lane, a); }
    if (VECTORS > 16u && lane + 16u < VECTORS) { write(which, row, lane + 16u, b); }
    if (VECTORS > 32u && lane + 32u < VECTORS) { write(which, row, lane + 32u, c); }
    if (VECTORS > 48u && lane + 48u < VECTORS) { write(which, row, lane + 48u, d); }
}
