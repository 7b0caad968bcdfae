//! What a pair's texts are like to the model, small enough to keep beside every pair, and which pairs are unlike
//! others.
//!
//! An embedding is the mean of the last hidden states that predict an answer's tokens ([`Policy::embeddings`]),
//! averaged over the pair's answers. Wider ones are projected onto random signs (Achlioptas 2003), which keeps angles
//! to about 1/√[`WIDTH`].
//!
//! [`Policy::embeddings`]: model::Policy::embeddings

use data::mix;
use rayon::prelude::*;

/// Numbers that are kept of an embedding, at most.
const WIDTH: usize = 128;
/// Of more pairs so many are compared, evenly spread: neither time nor memory grows without end.
const MOST_ASKED: usize = 50_000;
const MOST_KNOWN: usize = 1_024;
/// So many of the first are also unlike each other, not only unlike what is known.
const MOST_SPREAD: usize = 256;

/// The mean embedding of some answers, to be kept: a scale as f32, then whole numbers of two bytes, little-endian.
pub fn packed(answers: &[&[f32]]) -> Vec<u8> {
    let width = answers.first().map_or(0, |first| first.len());
    let mean = (0..width).map(|at| answers.iter().map(|answer| answer[at]).sum::<f32>() / answers.len() as f32);
    let kept = narrowed(mean.collect());
    let largest = kept.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let scale = if largest.is_finite() && largest > 0.0 { largest / f32::from(i16::MAX) } else { 1.0 };
    let whole = kept.iter().flat_map(|value| ((value / scale).round() as i16).to_le_bytes());
    scale.to_le_bytes().into_iter().chain(whole).collect()
}

/// Absent for what is no embedding.
pub fn unpacked(kept: &[u8]) -> Option<Vec<f32>> {
    let (scale, whole) = kept.split_first_chunk::<4>()?;
    let scale = f32::from_le_bytes(*scale);
    let (numbers, rest) = whole.as_chunks::<2>();
    let is_one = rest.is_empty() && !numbers.is_empty() && numbers.len() <= WIDTH && scale.is_finite();
    is_one.then(|| numbers.iter().map(|number| f32::from(i16::from_le_bytes(*number)) * scale).collect())
}

fn narrowed(wide: Vec<f32>) -> Vec<f32> {
    if wide.len() <= WIDTH {
        return wide;
    }
    let mut kept = vec![0f32; WIDTH];
    for (at, value) in wide.iter().enumerate() {
        let signs = [mix(2 * at as u64), mix(2 * at as u64 + 1)];
        for (place, kept) in kept.iter_mut().enumerate() {
            let is_minus = signs[place / 64] >> (place % 64) & 1 == 1;
            *kept += if is_minus { -value } else { *value };
        }
    }
    kept
}

/// Places of `asked`, those first that are the furthest from all of `known` and, among the first, from each other.
/// Without any that is known the most ordinary one comes first. Each embedding counts by its angle from the mean of
/// all.
pub fn furthest_first(asked: &[Vec<f32>], known: &[Vec<f32>]) -> Vec<usize> {
    let step = asked.len().div_ceil(MOST_ASKED).max(1);
    let compared: Vec<usize> = (0..asked.len()).step_by(step).collect();
    let known: Vec<&Vec<f32>> = known.iter().step_by(known.len().div_ceil(MOST_KNOWN).max(1)).collect();
    let mean = mean(compared.iter().map(|at| &asked[*at]).chain(known.iter().copied()));
    let directions: Vec<Vec<f32>> = compared.par_iter().map(|at| direction(&asked[*at], &mean)).collect();
    let known: Vec<Vec<f32>> = known.into_iter().map(|one| direction(one, &mean)).collect();

    let nearest_known = |one: &Vec<f32>| known.iter().map(|other| dot(one, other)).fold(f32::NEG_INFINITY, f32::max);
    let mut nearest: Vec<f32> = directions.par_iter().map(nearest_known).collect();
    let mut taken: Vec<usize> = Vec::new();
    let mut is_taken = vec![false; compared.len()];
    while taken.len() < compared.len().min(MOST_SPREAD) {
        let free = (0..compared.len()).filter(|at| !is_taken[*at]);
        let next = if taken.is_empty() && known.is_empty() {
            let from_mean = |at: &usize| squared(&asked[compared[*at]], &mean);
            free.min_by(|a, b| from_mean(a).total_cmp(&from_mean(b)))
        } else {
            free.min_by(|a, b| nearest[*a].total_cmp(&nearest[*b]))
        };
        let Some(next) = next else { break };
        is_taken[next] = true;
        taken.push(next);
        let new = &directions[next];
        nearest.par_iter_mut().zip(&directions).for_each(|(nearest, one)| *nearest = nearest.max(dot(one, new)));
    }
    let mut rest: Vec<usize> = (0..compared.len()).filter(|at| !is_taken[*at]).collect();
    rest.sort_by(|a, b| nearest[*a].total_cmp(&nearest[*b]));
    let passed_over = (0..asked.len()).filter(|at| at % step != 0);
    taken.into_iter().chain(rest).map(|at| compared[at]).chain(passed_over).collect()
}

fn mean<'a>(all: impl Iterator<Item = &'a Vec<f32>>) -> Vec<f32> {
    let (mut sum, mut count) = (Vec::new(), 0f32);
    for one in all {
        sum.resize(one.len().max(sum.len()), 0f32);
        sum.iter_mut().zip(one).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    for sum in &mut sum {
        *sum /= count;
    }
    sum
}

/// Of length 1, or nothing where it is the mean itself.
fn direction(one: &[f32], mean: &[f32]) -> Vec<f32> {
    let apart: Vec<f32> = one.iter().zip(mean).map(|(value, mean)| value - mean).collect();
    let length = dot(&apart, &apart).sqrt();
    if length > 0.0 { apart.iter().map(|value| value / length).collect() } else { apart }
}

fn squared(one: &[f32], mean: &[f32]) -> f32 {
    one.iter().zip(mean).map(|(value, mean)| (value - mean).powi(2)).sum()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_anything_else_is_refused() {
        let [first, second] = [vec![1.0, -3.0, 0.5], vec![0.0, 1.0, 0.25]];
        let kept = packed(&[&first, &second]);
        assert_eq!(kept.len(), 4 + 2 * 3);
        for (kept, mean) in unpacked(&kept).unwrap().into_iter().zip([0.5, -1.0, 0.375]) {
            assert!((kept - mean).abs() < 1e-4, "{kept} for {mean}");
        }
        assert_eq!(unpacked(&packed(&[&[0.0; 4]])), Some(vec![0.0; 4]));
        for kept in [&kept[..3], &kept[..4], &kept[..7], &[0; 4 + 2 * (WIDTH + 1)]] {
            assert_eq!(unpacked(kept), None);
        }
    }

    #[test]
    fn angles_survive_the_projection() {
        let wide = |seed: u64| -> Vec<f32> {
            let number = |at: u64| (mix(seed * 10_000 + at) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
            (0..900).map(number).collect()
        };
        let (a, b) = (wide(1), wide(2));
        let between: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.8 * a + 0.6 * b).collect();
        let kept = |wide: &Vec<f32>| direction(&unpacked(&packed(&[wide])).unwrap(), &[0.0; WIDTH]);
        assert_eq!(kept(&a).len(), WIDTH);
        let cosine = |one: &Vec<f32>, other: &Vec<f32>| dot(&kept(one), &kept(other));
        assert!((cosine(&a, &between) - 0.8).abs() < 0.2, "{}", cosine(&a, &between));
        assert!(cosine(&a, &b).abs() < 0.25, "{}", cosine(&a, &b));
    }

    #[test]
    fn those_unlike_the_known_come_first_and_then_those_unlike_them() {
        let at = |angle: f32| vec![angle.cos(), angle.sin()];
        // Two near what is known, two at the other end that are alike, one across.
        let asked = [at(0.1), at(2.7), at(3.1), at(1.6), at(0.2)];
        let order = furthest_first(&asked, &[at(0.0), at(0.15)]);
        assert!(matches!(order[0], 1 | 2), "{order:?}");
        assert_eq!(order[1], 3, "{order:?}");
        assert!(matches!(order[2], 1 | 2), "{order:?}");
        // With nothing known it begins with what is nearest to the mean.
        let asked = [vec![4.0, 0.0], vec![0.1, 0.1], vec![-4.0, 0.0], vec![0.0, 4.0], vec![0.0, -4.0]];
        assert_eq!(furthest_first(&asked, &[])[0], 1);
        assert_eq!(furthest_first(&[], &[at(0.0)]), [0; 0]);
    }
}
