use std::ops::{Deref, DerefMut};

use sqlx::{Any, AnyConnection, Row};

use crate::StorageError;

/// A transaction that writes. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    name: &'static str,
    inner: sqlx::Transaction<'static, Any>,
}

impl Transaction {
    pub(crate) fn new(name: &'static str, inner: sqlx::Transaction<'static, Any>) -> Self {
        Self { name, inner }
    }

    /// Makes it last.
    ///
    /// # Errors
    /// Where it does not, or where nobody can say whether it does.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.inner.commit().await?;
        tracing::trace!(db.transaction = self.name, "committed");
        Ok(())
    }

    /// Takes the next number of a counter, a row of the table `counter`. Whoever takes one holds the row until the end of
    /// the transaction, so numbers become visible in their order and none is given twice.
    ///
    /// # Errors
    /// Where the schema has no such counter, or the database is out of reach.
    pub async fn next_value(&mut self, counter: &'static str) -> Result<i64, StorageError> {
        let row = sqlx::query("update counter set value = value + 1 where name = $1 returning value")
            .bind(counter)
            .fetch_optional(&mut *self.inner)
            .await?;
        Ok(row.ok_or(StorageError::NoCounter(counter))?.try_get("value")?)
    }
}

impl Deref for Transaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
