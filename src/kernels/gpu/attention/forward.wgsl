// Attention of a block of queries of one head, with a running softmax: `o` and the log-sum-exp of each query's scores.

struct Parameters {
    o: u32, lse: u32, q: u32, k: u32, v: u32, plan: u32,
    heads: u32,
    group: u32, // query heads of a key head
    first_block: u32,
    rows_from: u32, // first row of q, o and lse, in the packed row
    keys_from: u32, // first row of k and v, in the packed row
    scale: f32,
    cap: f32, // 0: none
    window: u32,
    joins: u32, // whether an earlier run has done the same rows with others of the other side
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> o: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> k: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> plan: array<u32>;

const LOWEST: f32 = -1e30;

var<private> kept: vec4<f32>; // of what an earlier run gave for this thread's rows, which part is left

fn block_at(which: u32, row: u32, i: u32) -> vec4<f32> {
    if (row >= block_rows) { return vec4<f32>(0.0); }
    return q[p.q / 4u + query_at(row) + i];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    stand_at(index);
    head = at.x;
    open_block(at.y);
    let queries = vec4<u32>(position) + rows();

    var sums: Sums;
    var highest = vec4<f32>(LOWEST);
    var total = vec4<f32>(0.0); // over the keys of this lane
    for (tile = first_key; tile < end_of_keys; tile += TILE) {
        let raw = products(0u);
        let is_seen = sees(queries, tile + lane);
        let is_other_seen = sees(queries, tile + lane + 16u);
        let score = capped(raw[0]);
        let score_other = capped(raw[1]);

        workgroupBarrier();
        staged[lane * 16u + group] = max(
            select(vec4<f32>(LOWEST), score, is_seen), select(vec4<f32>(LOWEST), score_other, is_other_seen));
        workgroupBarrier();
        var high = highest;
        for (var i = 0u; i < 16u; i++) { high = max(high, staged[i * 16u + group]); }

        let shrink = weight(highest, high);
        highest = high;
        let part = select(vec4<f32>(0.0), weight(score, high), is_seen);
        let part_other = select(vec4<f32>(0.0), weight(score_other, high), is_other_seen);
        total = total * shrink + (part + part_other);
        share(part, part_other);
        scale_sums(&sums, shrink);
        add_tile(1u, min(TILE, end_of_keys - tile), &sums);
    }

    workgroupBarrier();
    staged[lane * 16u + group] = total;
    workgroupBarrier();
    var whole = vec4<f32>(0.0);
    for (var i = 0u; i < 16u; i++) { whole += staged[i * 16u + group]; }
    // A row past the block's last may see nothing; it is not written.
    let some = select(whole, max(whole, vec4<f32>(1e-30)), are_numbers(whole));
    var logarithm = select(whole, highest + log(some), are_numbers(whole));
    var now = vec4<f32>(1.0);
    kept = vec4<f32>(0.0);
    if (p.joins != 0u) {
        let before = vec4<f32>(lse_of(group), lse_of(group + 16u), lse_of(group + 32u), lse_of(group + 48u));
        // All have read before one writes.
        storageBarrier();
        workgroupBarrier();
        let high = max(before, logarithm);
        let weight_before = weight(before, high);
        let weight_now = weight(logarithm, high);
        let both = weight_before + weight_now;
        kept = weight_before / both;
        now = weight_now / both;
        logarithm = select(both, high + log(max(both, vec4<f32>(1e-30))), are_numbers(both));
    }
    scale_sums(&sums, now / some);
    write_sums(1u, &sums);
    if (lane == 0u) {
        write_lse(group, logarithm.x);
        write_lse(group + 16u, logarithm.y);
        write_lse(group + 32u, logarithm.z);
        write_lse(group + 48u, logarithm.w);
    }
}

fn lse_of(row: u32) -> f32 {
    if (row >= block_rows) { return LOWEST; }
    return lse[p.lse + (first_row - p.rows_from + row) * p.heads + head];
}

fn write_lse(row: u32, number: f32) {
    if (row < block_rows) { lse[p.lse + (first_row - p.rows_from + row) * p.heads + head] = number; }
}

fn write(which: u32, row: u32, i: u32, numbers: vec4<f32>) {
    let at = p.o / 4u + query_at(row) + i;
    if (p.joins == 0u) { o[at] = numbers; } else { o[at] = kept[(row - group) / 16u] * o[at] + numbers; }
}
