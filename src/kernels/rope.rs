//! Rotary position embedding, in place.

use super::{
    Result, Tensor, access, parallel,
    simd::{fused, multiversion},
};

/// Cosines and sines by position, made by the model (its theta and scaling): both f32 `[P, rotary/2]`.
#[derive(Debug, Clone)]
pub struct RopeTable {
    /// `cos(position · frequency)`, times the attention factor where the scaling has one.
    pub cos: Tensor,
    /// `sin(position · frequency)`, times the same factor.
    pub sin: Tensor,
}

pub(super) const OPERATION: &str = "rope";

/// Rotates every head of every token; `inverse` by the negative angle. With a table that carries an attention factor
/// the inverse is the transpose, which is what a backward needs.
pub(super) fn rotate(x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
    let (_, width) = access::matrix(OPERATION, "x", x.dims())?;
    let half = check(x.dims(), heads, positions, table)?;
    let (cos, sin) = (access::read(OPERATION, "cosines", &table.cos)?, access::read(OPERATION, "sines", &table.sin)?);
    let per_piece = parallel::rows_per_piece(width);
    access::rewrite(OPERATION, "x", &x, &[&cos, &sin], |x| {
        parallel::chunks(x, per_piece * width, |piece, rows| {
            for (row, &position) in rows.chunks_mut(width).zip(&positions[piece * per_piece..]) {
                let at = position as usize * half..(position as usize + 1) * half;
                rotate_row(row, width / heads, &cos[at.clone()], &sin[at], if inverse { -1.0 } else { 1.0 });
            }
        });
    })?;
    Ok(x)
}

/// Half the rotary width, everything checked against everything.
pub(super) fn check(x: &[usize], heads: usize, positions: &[u32], table: &RopeTable) -> Result<usize> {
    let (tokens, width) = access::matrix(OPERATION, "x", x)?;
    let (known, half) = access::matrix(OPERATION, "cosines", table.cos.dims())?;
    access::expect_dims(OPERATION, "sines", table.sin.dims(), &[known, half])?;
    if positions.len() != tokens || heads == 0 || width % heads != 0 || 2 * half > width / heads {
        let message =
            format!("{} positions and {heads} heads of rotary width {} for x {x:?}", positions.len(), 2 * half);
        return access::fault(OPERATION, message);
    }
    if let Some(far) = positions.iter().find(|&&position| position as usize >= known) {
        let message = format!("position {far} is past the {known} positions that the table (and the model) has");
        return access::fault(OPERATION, message);
    }
    Ok(half)
}

multiversion! {
    /// All heads of one token.
    fn rotate_row(row: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], sign: f32) {
        let half = cos.len();
        let sin = &sin[..half];
        for head in row.chunks_mut(head_dim) {
            let (first, second) = head[..2 * half].split_at_mut(half);
            for i in 0..half {
                let (a, b, s) = (first[i], second[i], sin[i] * sign);
                first[i] = fused::<FMA>(a, cos[i], -(b * s));
                second[i] = fused::<FMA>(b, cos[i], a * s);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_same_bits, inner, random, tensor, values};

    fn angles(positions: usize, half: usize) -> Vec<f64> {
        let angle = |i: usize| (i / half) as f64 * 100_f64.powf(-((i % half) as f64) / half as f64);
        (0..positions * half).map(angle).collect()
    }

    /// A table with an attention factor of 1.25.
    fn table(positions: usize, half: usize) -> RopeTable {
        let of = |f: fn(f64) -> f64| -> Vec<f64> { angles(positions, half).iter().map(|a| 1.25 * f(*a)).collect() };
        RopeTable { cos: tensor(&of(f64::cos), (positions, half)), sin: tensor(&of(f64::sin), (positions, half)) }
    }

    /// Straight loops; complex numbers turned.
    fn twin(x: &[f64], heads: usize, width: usize, positions: &[u32], half: usize, sign: f64) -> Vec<f64> {
        let mut y = x.to_vec();
        let angles = angles(64, half);
        for (row, &position) in positions.iter().enumerate() {
            for head in 0..heads {
                for i in 0..half {
                    let at = row * width + head * (width / heads) + i;
                    let (sin, cos) = (sign * angles[position as usize * half + i]).sin_cos();
                    y[at] = 1.25 * (x[at] * cos - x[at + half] * sin);
                    y[at + half] = 1.25 * (x[at + half] * cos + x[at] * sin);
                }
            }
        }
        y
    }

    #[test]
    fn equals_its_twin_also_where_only_a_part_is_rotary() {
        for (heads, head_dim, half) in [(1, 2, 1), (3, 8, 4), (2, 80, 40), (2, 10, 3)] {
            let positions = [0, 5, 1, 63, 5];
            let width = heads * head_dim;
            let x = random(1, positions.len() * width);
            for (inverse, sign) in [(false, 1.0), (true, -1.0)] {
                let input = tensor(&x, (positions.len(), width));
                let y = rotate(input, heads, &positions, &table(64, half), inverse).unwrap();
                assert_close("y", &values(&y), &twin(&x, heads, width, &positions, half, sign), 1e-6);
            }
        }
    }

    /// `<R x, y> = <x, Rᵀ y>`: the inverse is the backward, attention factor included.
    #[test]
    fn the_inverse_is_the_transpose() {
        let (x, y, positions) = (random(1, 4 * 12), random(2, 4 * 12), [3, 0, 9, 20]);
        let forward = rotate(tensor(&x, (4, 12)), 2, &positions, &table(64, 3), false).unwrap();
        let backward = rotate(tensor(&y, (4, 12)), 2, &positions, &table(64, 3), true).unwrap();
        let wide = |t: &Tensor| values(t).iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let (left, right) = (inner(&wide(&forward), &y), inner(&x, &wide(&backward)));
        assert!((left - right).abs() < 1e-5, "{left} {right}");
    }

    #[test]
    fn a_position_past_the_table_is_an_error() {
        let error = rotate(tensor(&random(1, 8), (1, 8)), 2, &[64], &table(64, 2), false).unwrap_err();
        assert!(error.to_string().contains("position 64"));
        assert!(rotate(tensor(&random(1, 8), (1, 8)), 2, &[0], &table(64, 3), false).is_err());
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let positions: Vec<u32> = (0..900).map(|i| i % 64).collect();
        let x = random(1, 900 * 64);
        assert_same_bits(|| vec![values(&rotate(tensor(&x, (900, 64)), 4, &positions, &table(64, 8), false).unwrap())]);
    }
}
