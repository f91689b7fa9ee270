//! Tables of text.

use super::failure::Failure;
use super::output::{Output, printable};
use unicode_width::UnicodeWidthStr as _;

/// How the cells of a column stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows under a head, each column as wide as it has to be.
pub struct Grid {
    head: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub fn new<const N: usize>(head: [(&'static str, Align); N]) -> Grid {
        Grid { head: head.to_vec(), rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// `empty` is said instead where there are no rows.
    pub fn write(&self, empty: &str, output: &mut Output) -> Result<(), Failure> {
        if self.rows.is_empty() {
            return output.line(empty);
        }
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].width());
                cells.chain([self.head[column].0.width()]).max().unwrap_or_default()
            })
            .collect();
        let head: Vec<&str> = self.head.iter().map(|(name, _)| *name).collect();
        let head = output.bold(self.laid_out(&head, &widths));
        output.line(head)?;
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            output.line(self.laid_out(&cells, &widths))?;
        }
        Ok(())
    }

    fn laid_out(&self, cells: &[&str], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.head) {
            let gap = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => line.extend([*cell, &gap]),
                Align::Right => line.extend([&gap, *cell]),
            }
            line.push_str("  ");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut grid = Grid::new([("word", Align::Left), ("count", Align::Right)]);
        grid.row(["中国".to_owned(), "7".to_owned()]);
        grid.row(["a".to_owned(), "1,000".to_owned()]);
        let widths = [4, 5];
        let lines: Vec<String> = (grid.rows.iter())
            .map(|row| grid.laid_out(&row.iter().map(String::as_str).collect::<Vec<_>>(), &widths))
            .collect();
        assert_eq!(lines, ["中国      7", "a     1,000"]);
    }
}
