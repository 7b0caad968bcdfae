// The gradient of a block of queries of one head.

struct Parameters {
    dq: u32, q: u32, k: u32, v: u32, d_o: u32, stats: u32, plan: u32,
    heads: u32,
    group: u32, // query heads of a key head
    first_block: u32,
    rows_from: u32, // first row of dq, q, d_o and stats, in the packed row
    keys_from: u32, // first row of k and v, in the packed row
    scale: f32,
    cap: f32, // 0: none
    window: u32,
    joins: u32, // whether an earlier run has done the same rows with others of the other side
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> dq: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> k: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> d_o: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> stats: array<f32>; // log-sum-exp and Σ do·o, of each query's head
@group(0) @binding(7) var<storage, read> plan: array<u32>;

fn block_at(which: u32, row: u32, i: u32) -> vec4<f32> {
    if (row >= block_rows) { return vec4<f32>(0.0); }
    if (which == 0u) { return q[p.q / 4u + query_at(row) + i]; }
    return d_o[p.d_o / 4u + query_at(row) + i];
}

fn stats_of(row: u32) -> vec2<f32> {
    if (row >= block_rows) { return vec2<f32>(0.0); }
    let at = p.stats + ((first_row - p.rows_from + row) * p.heads + head) * 2u;
    return vec2<f32>(stats[at], stats[at + 1u]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    stand_at(index);
    head = at.x;
    open_block(at.y);
    let queries = vec4<u32>(position) + rows();
    let stats = mat4x2<f32>(stats_of(group), stats_of(group + 16u), stats_of(group + 32u), stats_of(group + 48u));
    let of_queries = transpose(stats);

    var sums: Sums;
    for (tile = first_key; tile < end_of_keys; tile += TILE) {
        let scores = products(0u);
        let pulls = products(1u);
        let d = gradient(scores[0], pulls[0], sees(queries, tile + lane), of_queries);
        let d_other = gradient(scores[1], pulls[1], sees(queries, tile + lane + 16u), of_queries);
        share(d, d_other);
        add_tile(0u, min(TILE, end_of_keys - tile), &sums);
    }
    write_sums(0u, &sums);
}

// Of the products of queries with a key, from those of the gradient of the outcome with its value.
fn gradient(products: vec4<f32>, pull: vec4<f32>, is_seen: vec4<bool>, stats: mat2x4<f32>) -> vec4<f32> {
    let score = capped(products);
    let d = weight(score, stats[0]) * (pull - stats[1]) * slope(score);
    return select(vec4<f32>(0.0), d, is_seen);
}

fn write(which: u32, row: u32, i: u32, numbers: vec4<f32>) {
    let at = p.dq / 4u + query_at(row) + i;
    if (p.joins == 0u) { dq[at] = numbers; } else { dq[at] += numbers; }
}
