// The gradients of a block of keys of one key head and of their values, from all queries that see any of them: ranges of
// rows, for some of the query heads that share the key head. GRADIENTS: 1 of the keys, 2 of the values, 3 of both.

struct Parameters {
    dk: u32, dv: u32, q: u32, k: u32, v: u32, d_o: u32, stats: u32, plan: u32,
    heads: u32,
    group: u32, // query heads of a key head
    first_block: u32,
    rows_from: u32, // first row of k and v, in the packed row
    queries_from: u32, // first row of q, d_o and stats, in the packed row
    scale: f32,
    cap: f32, // 0: none
    window: u32,
    joins: u32, // whether an earlier run has done the same rows with others of the other side
    parts: u32, // that a group of query heads is cut into
    part: u32, // vectors from one part's gradients to the next
    gradients_from: u32, // first row of dk and dv, in the packed row
    positions: u32, // where the plan has the position of each row
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> dk: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dv: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> k: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> d_o: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> stats: array<f32>; // log-sum-exp and Σ do·o, of each query's head
@group(0) @binding(8) var<storage, read> plan: array<u32>;

// A block in the plan: five numbers.
var<private> first_row: u32; // in the packed row
var<private> block_rows: u32;

var<private> key_head: u32;
var<private> part: u32;
var<private> head: u32; // of the queries
var<private> tile: u32; // its first row, in the packed row
var<private> end: u32; // one past the last row of its range

fn key_at(row: u32) -> u32 {
    return ((first_row - p.rows_from + row) * (p.heads / p.group) + key_head) * VECTORS;
}

fn block_at(which: u32, row: u32, i: u32) -> vec4<f32> {
    if (row >= block_rows) { return vec4<f32>(0.0); }
    if (which == 0u) { return k[p.k / 4u + key_at(row) + i]; }
    return v[p.v / 4u + key_at(row) + i];
}

fn tile_at(which: u32, row: u32, i: u32) -> vec4<f32> {
    if (tile + row >= end) { return vec4<f32>(0.0); }
    let at = ((tile - p.queries_from + row) * p.heads + head) * VECTORS + i;
    if (which == 0u) { return q[p.q / 4u + at]; }
    return d_o[p.d_o / 4u + at];
}

// A query of the tile: its position and stats.
struct Query { is_there: bool, position: u32, lse: f32, pull: f32 }

fn query(row: u32) -> Query {
    if (tile + row >= end) { return Query(false, 0u, 0.0, 0.0); }
    let at = p.stats + ((tile - p.queries_from + row) * p.heads + head) * 2u;
    return Query(true, plan[p.plan + p.positions + tile + row], stats[at], stats[at + 1u]);
}

// The weights of keys for a query.
fn weights_for(query: Query, scores: vec4<f32>, keys: vec4<u32>) -> vec4<f32> {
    let sees = seen(vec4<u32>(query.position), keys) & vec4<bool>(query.is_there);
    return select(vec4<f32>(0.0), weight(scores, vec4<f32>(query.lse)), sees);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    stand_at(index);
    key_head = at.x / p.parts;
    part = at.x % p.parts;
    let block = p.plan + (p.first_block + at.y) * 5u;
    first_row = plan[block];
    block_rows = plan[block + 1u];
    let keys = vec4<u32>(plan[block + 2u]) + rows();
    let first_range = plan[block + 3u];
    let ranges = plan[block + 4u];

    var of_keys: Sums;
    var of_values: Sums;
    let heads = p.group / p.parts;
    for (var i = 0u; i < heads; i++) {
        head = key_head * p.group + part * heads + i;
        for (var range = 0u; range < ranges; range++) {
            tile = plan[p.plan + first_range + range * 2u];
            end = plan[p.plan + first_range + range * 2u + 1u];
            for (; tile < end; tile += TILE) {
                let count = min(TILE, end - tile);
                let raw = products(0u);
                let score = capped(raw[0]);
                let score_other = capped(raw[1]);
                let one = query(lane);
                let other = query(lane + 16u);
                let seen_by = weights_for(one, score, keys);
                let seen_by_other = weights_for(other, score_other, keys);
                if ((GRADIENTS & 2u) != 0u) {
                    share(seen_by, seen_by_other);
                    add_tile(1u, count, &of_values);
                }
                if ((GRADIENTS & 1u) != 0u) {
                    let pulls = products(1u);
                    share(
                        seen_by * (pulls[0] - one.pull) * slope(score),
                        seen_by_other * (pulls[1] - other.pull) * slope(score_other));
                    add_tile(0u, count, &of_keys);
                }
            }
        }
    }
    if ((GRADIENTS & 1u) != 0u) { write_sums(0u, &of_keys); }
    if ((GRADIENTS & 2u) != 0u) { write_sums(1u, &of_values); }
}

fn write(which: u32, row: u32, i: u32, numbers: vec4<f32>) {
    let key = (first_row - p.gradients_from + row) * (p.heads / p.group) + key_head;
    let at = part * p.part + key * VECTORS + i;
    if (which == 0u) {
        if (p.joins == 0u) { dk[p.dk / 4u + at] = numbers; } else { dk[p.dk / 4u + at] += numbers; }
    } else {
        if (p.joins == 0u) { dv[p.dv / 4u + at] = numbers; } else { dv[p.dv / 4u + at] += numbers; }
    }
}
