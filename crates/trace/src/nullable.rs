// SPDX-License-Identifier: GPL-2.0-or-later
//! Long tables as Parquet files, written row by row: columns that may be null, in row groups of
//! bounded size, compressed by Snappy.

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows that are put together: what is kept in memory.
const ROWS_A_GROUP: usize = 1 << 16;

/// What a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Times: whole numbers that mostly grow, in every row.
    Time,
    /// Whole numbers.
    Number,
    /// Whole numbers with a sign.
    Signed,
    /// Yes or no.
    Bool,
    /// Texts, most of which come again.
    Word,
}

/// The name and the kind of a column.
pub(crate) type Column = (&'static str, Kind);

/// What a row has in a column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// A number.
    Number(u64),
    /// A number with a sign.
    Signed(i64),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Word(&'a str),
}

/// Rows of one column that wait to be written: the values, and for each row whether it has one.
#[derive(Debug)]
struct Waiting {
    kind: Kind,
    values: Values,
    has: Vec<i16>,
}

/// What the library has written and nobody took yet: it wants a writer that threads may share.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
enum Values {
    Numbers(Vec<i64>),
    Bools(Vec<bool>),
    /// Texts, which are kept once.
    Words(Vec<ByteArray>, BTreeMap<String, ByteArray>),
}

/// Writes a table.
pub(crate) struct Table {
    written: Written,
    writer: SerializedFileWriter<Written>,
    columns: Vec<Waiting>,
    rows: usize,
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl Table {
    /// Starts a file, with what is told about it.
    pub(crate) fn new(columns: &[Column], about: &[(&str, String)]) -> io::Result<Self> {
        let fields = columns.iter().map(|column| field(*column).map(Arc::new));
        let fields = fields.collect::<Result<_, _>>().map_err(failed)?;
        let schema =
            Type::group_type_builder("rota").with_fields(fields).build().map_err(failed)?;
        let about = about.iter().map(|(key, text)| KeyValue::new((*key).to_owned(), text.clone()));
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(about.collect()))
            .set_compression(Compression::SNAPPY);
        let properties = Arc::new(columns.iter().fold(properties, encoded).build());
        let written = Written::default();
        let writer = SerializedFileWriter::new(written.clone(), Arc::new(schema), properties);
        let waiting = |(_, kind): &Column| Waiting {
            kind: *kind,
            values: Values::new(*kind),
            has: Vec::new(),
        };
        let columns = columns.iter().map(waiting).collect();
        Ok(Self { written, writer: writer.map_err(failed)?, columns, rows: 0 })
    }

    /// Says what the row that is being made has in a column. The last word counts.
    pub(crate) fn set(&mut self, column: usize, cell: Cell<'_>) {
        let waiting = &mut self.columns[column];
        if waiting.has.len() > self.rows {
            return;
        }
        match (&mut waiting.values, cell) {
            (Values::Numbers(values), Cell::Number(value)) => values.push(value.cast_signed()),
            (Values::Numbers(values), Cell::Signed(value)) => values.push(value),
            (Values::Bools(values), Cell::Bool(value)) => values.push(value),
            (Values::Words(values, known), Cell::Word(word)) => {
                let value = known.get(word).cloned().unwrap_or_else(|| {
                    let value = ByteArray::from(word);
                    known.insert(word.to_owned(), value.clone());
                    value
                });
                values.push(value);
            }
            _ => return,
        }
        waiting.has.push(1);
    }

    /// Ends a row: columns of which nothing was said are null.
    pub(crate) fn end_row(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.rows += 1;
        for column in &mut self.columns {
            column.has.resize(self.rows, 0);
        }
        if self.rows < ROWS_A_GROUP {
            return Ok(());
        }
        self.write_group()?;
        out.write_all(&self.written.take())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        let written = self.writer.into_inner().map_err(failed)?;
        out.write_all(&written.take())
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for Waiting { kind, values, has } in &mut self.columns {
            let has = std::mem::take(has);
            let has = (*kind != Kind::Time).then_some(has.as_slice());
            match values {
                Values::Numbers(values) => write::<Int64Type>(&mut group, values, has),
                Values::Bools(values) => write::<BoolType>(&mut group, values, has),
                Values::Words(values, known) => {
                    known.clear();
                    write::<ByteArrayType>(&mut group, values, has)
                }
            }
            .map_err(failed)?;
        }
        self.rows = 0;
        group.close().map(drop).map_err(failed)
    }
}

impl Values {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Time | Kind::Number | Kind::Signed => Self::Numbers(Vec::new()),
            Kind::Bool => Self::Bools(Vec::new()),
            Kind::Word => Self::Words(Vec::new(), BTreeMap::new()),
        }
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Written>,
    values: &mut Vec<T::T>,
    has: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("a column too many".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, has, None)?;
    values.clear();
    column.close()
}

fn field((name, kind): Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Time | Kind::Number => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Kind::Signed => (Physical::INT64, Some(LogicalType::integer(64, true))),
        Kind::Bool => (Physical::BOOLEAN, None),
        Kind::Word => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let always = if kind == Kind::Time { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    let field = Type::primitive_type_builder(name, physical);
    field.with_repetition(always).with_logical_type(logical).build()
}

/// Times grow: their differences are kept. All else has few values that come again.
fn encoded(properties: WriterPropertiesBuilder, column: &Column) -> WriterPropertiesBuilder {
    let (name, Kind::Time) = *column else { return properties };
    let path = ColumnPath::from(name);
    let properties = properties.set_column_dictionary_enabled(path.clone(), false);
    properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
}
