//! Work in fixed pieces on the current rayon pool.

use rayon::prelude::*;

/// Elements of light work (a few nanoseconds for eight of them) below which waking a thread costs more than it saves.
pub(super) const LIGHT: usize = 32 * 1024;

/// Elements of light work in one piece: a fixed number, so that sums do not depend on how many threads there are.
pub(super) const PIECE: usize = 16 * 1024;

/// Runs `f(0) .. f(pieces - 1)`; on the caller's thread when the whole is `small`.
pub(super) fn for_each(pieces: usize, small: bool, f: impl Fn(usize) + Sync + Send) {
    if small || pieces <= 1 || rayon::current_num_threads() == 1 {
        (0..pieces).for_each(f);
    } else {
        (0..pieces).into_par_iter().for_each(f);
    }
}

/// [`for_each`] with a workspace that is made once for a run of pieces.
pub(super) fn for_each_with<W>(
    pieces: usize,
    small: bool,
    workspace: impl Fn() -> W + Sync + Send,
    f: impl Fn(&mut W, usize) + Sync + Send,
) {
    if small || pieces <= 1 || rayon::current_num_threads() == 1 {
        let mut workspace = workspace();
        (0..pieces).for_each(|piece| f(&mut workspace, piece));
    } else {
        (0..pieces).into_par_iter().for_each_init(workspace, f);
    }
}

/// The results of `f(0) .. f(pieces - 1)` in this order.
pub(super) fn map<R: Send>(pieces: usize, small: bool, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    if small || pieces <= 1 || rayon::current_num_threads() == 1 {
        (0..pieces).map(f).collect()
    } else {
        (0..pieces).into_par_iter().map(f).collect()
    }
}

/// How many rows of `width` elements make a piece.
pub(super) fn rows_per_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Cuts `out` in pieces of `chunk` elements and runs `f(index of the piece, piece)`.
pub(super) fn chunks<T: Send>(out: &mut [T], chunk: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    if out.len() <= LIGHT || rayon::current_num_threads() == 1 {
        out.chunks_mut(chunk).enumerate().for_each(|(i, piece)| f(i, piece));
    } else {
        out.par_chunks_mut(chunk).enumerate().for_each(|(i, piece)| f(i, piece));
    }
}

/// [`chunks`] over two buffers of the same length at once.
pub(super) fn chunks2<T: Send, U: Send>(
    a: &mut [T],
    b: &mut [U],
    chunk: usize,
    f: impl Fn(usize, &mut [T], &mut [U]) + Sync + Send,
) {
    if a.len() <= LIGHT || rayon::current_num_threads() == 1 {
        a.chunks_mut(chunk).zip(b.chunks_mut(chunk)).enumerate().for_each(|(i, (a, b))| f(i, a, b));
    } else {
        a.par_chunks_mut(chunk).zip(b.par_chunks_mut(chunk)).enumerate().for_each(|(i, (a, b))| f(i, a, b));
    }
}

/// Runs `f(index, item)` on every item.
pub(super) fn each_mut<T: Send>(items: &mut [T], small: bool, f: impl Fn(usize, &mut T) + Sync + Send) {
    if small || items.len() <= 1 || rayon::current_num_threads() == 1 {
        items.iter_mut().enumerate().for_each(|(i, item)| f(i, item));
    } else {
        items.par_iter_mut().enumerate().for_each(|(i, item)| f(i, item));
    }
}
