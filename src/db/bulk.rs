//! A statement for many rows of `VALUES` from the text for one: Postgres is asked once instead of once for
//! each.

use super::{Error, Kind, Result};

/// The text for that many rows of so many columns.
///
/// # Errors
/// When it has not one row of parameters alone.
pub(super) fn of_rows(sql: &str, columns: usize, rows: usize) -> Result<String> {
    let parts = sql.split_once("VALUES (").and_then(|(head, rest)| {
        let (row, tail) = rest.split_once(')')?;
        (!tail.contains('$') && !head.contains('$')).then_some((head, row, tail))
    });
    let no_row = || Error::new(Kind::Other, "not one row of parameters");
    let (head, row, tail) = parts.ok_or_else(no_row)?;
    let numbers: Option<Vec<usize>> =
        row.split(", ").map(|param| param.trim().strip_prefix('$')?.parse().ok()).collect();
    let numbers = numbers.ok_or_else(no_row)?;
    let each: Vec<String> = (0..rows)
        .map(|row| {
            let params: Vec<_> =
                numbers.iter().map(|number| format!("${}", number + row * columns)).collect();
            format!("({})", params.join(", "))
        })
        .collect();
    Ok(format!("{head}VALUES {}{tail}", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_parameters_of_its_own() {
        let one = "INSERT INTO t (a, b, c) VALUES ($1, $2, $1) ON CONFLICT DO NOTHING";
        let three = of_rows(one, 2, 3).unwrap();
        let rows = "($1, $2, $1), ($3, $4, $3), ($5, $6, $5)";
        assert_eq!(three, format!("INSERT INTO t (a, b, c) VALUES {rows} ON CONFLICT DO NOTHING"));
        let with = "WITH asked (a) AS (VALUES ($1)) DELETE FROM t USING asked WHERE t.a = asked.a";
        let two = of_rows(with, 1, 2).unwrap();
        assert!(two.starts_with("WITH asked (a) AS (VALUES ($1), ($2)) DELETE"), "{two}");
        for other in [
            "UPDATE t SET a = $1",
            "INSERT INTO t (a) VALUES (1)",
            "INSERT INTO t (a) VALUES ($1) ON CONFLICT DO UPDATE SET a = $1",
        ] {
            assert!(of_rows(other, 1, 2).is_err(), "{other}");
        }
    }
}
