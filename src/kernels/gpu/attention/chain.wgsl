// Blocks of queries against the keys of their chain, which are known by their positions along it: the first are those of
// the prefix, the others those of the segment itself.

// A block in the plan: eight numbers.
var<private> first_row: u32; // in the packed row
var<private> block_rows: u32;
var<private> position: u32; // of the first query
var<private> first_key: u32; // position of the first key that this run looks at for any of them
var<private> end_of_keys: u32; // one past the last
var<private> prefix: u32; // first row of the prefix
var<private> prefix_keys: u32;
var<private> own: u32; // first row of the segment

var<private> head: u32;
var<private> tile: u32; // position of its first key

fn open_block(number: u32) {
    let at = p.plan + (p.first_block + number) * 8u;
    first_row = plan[at];
    block_rows = plan[at + 1u];
    position = plan[at + 2u];
    first_key = plan[at + 3u];
    end_of_keys = plan[at + 4u];
    prefix = plan[at + 5u];
    prefix_keys = plan[at + 6u];
    own = plan[at + 7u];
}

// Whether queries at these positions see a key that this run looks at.
fn sees(queries: vec4<u32>, key: u32) -> vec4<bool> {
    return seen(queries, vec4<u32>(key)) & vec4<bool>(key < end_of_keys);
}

// Where the head of a query begins, among the rows that this run has.
fn query_at(row: u32) -> u32 {
    return ((first_row - p.rows_from + row) * p.heads + head) * VECTORS;
}

// Where the head of the tile's key begins, among the rows that this run has.
fn key_at(row: u32) -> u32 {
    let at = tile + row;
    let key = select(own + at - prefix_keys, prefix + at, at < prefix_keys);
    return ((key - p.keys_from) * (p.heads / p.group) + head / p.group) * VECTORS;
}

fn tile_at(which: u32, row: u32, i: u32) -> vec4<f32> {
    if (tile + row >= end_of_keys) { return vec4<f32>(0.0); }
    if (which == 0u) { return k[p.k / 4u + key_at(row) + i]; }
    return v[p.v / 4u + key_at(row) + i];
}
