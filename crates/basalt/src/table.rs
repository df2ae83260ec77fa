//! Text tables: columns as wide as their content. By hand: there are no lines, colours or wrapping to draw; how wide a text
//! is on a terminal, the crate `unicode-width` knows.

use std::fmt;

use unicode_width::UnicodeWidthStr as _;

/// Table with a line of titles.
#[derive(Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// Returns a table with nothing but its titles.
    pub fn new(titles: [&str; COLUMNS]) -> Self {
        Self {
            rows: vec![titles.map(str::to_uppercase)],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or_default()
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line += cell;
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(["node", "state"]);
        table.row(["node-1".into(), "Ready".into()]);
        table.row(["a".into(), String::new()]);
        assert_eq!(table.to_string(), "NODE    STATE\nnode-1  Ready\na\n");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new(["node", "state"]);
        table.row(["\u{7bc0}\u{70b9}".into(), "Ready".into()]);
        assert_eq!(table.to_string(), "NODE  STATE\n\u{7bc0}\u{70b9}  Ready\n");
    }
}
