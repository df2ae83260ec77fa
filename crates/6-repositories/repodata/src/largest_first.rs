//! Work of different size on several threads.

use std::cmp::Reverse;

use basalt_schedule::EachError;

use crate::MetadataError;

/// Calls `work` with each item on so many threads, the largest item first: begun last, it would keep one thread busy while
/// the others have nothing to do. The results are in the order of the items.
pub(crate) fn largest_first<I: Sync, T: Send>(
    workers: usize,
    items: &[I],
    size: impl Fn(&I) -> usize,
    work: impl Fn(&I) -> Result<T, MetadataError> + Sync,
) -> Result<Vec<T>, MetadataError> {
    let mut order: Vec<(usize, &I)> = items.iter().enumerate().collect();
    order.sort_by_key(|(_, item)| Reverse(size(item)));
    let done = basalt_schedule::each_on(workers, &order, |(place, item)| {
        Ok::<_, MetadataError>((*place, work(item)?))
    });
    let mut done = done.map_err(EachError::<MetadataError>::into_first)?;
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_largest_is_begun_first_and_results_are_in_order() {
        let begun = Mutex::new(Vec::new());
        let done = largest_first(
            1,
            &[3, 9, 1],
            |item| *item,
            |item| {
                begun.lock().expect("no panic").push(*item);
                Ok(item * 2)
            },
        );
        assert_eq!(done.expect("nothing fails"), [6, 18, 2]);
        assert_eq!(begun.into_inner().expect("no panic"), [9, 3, 1]);
    }
}
