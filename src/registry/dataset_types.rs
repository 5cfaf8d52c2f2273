//! Dataset types and their path templates.

use std::sync::Arc;

use super::database::{Database, Value};
use super::{Registry, RegistryError, schema};
use crate::dataset::{DatasetType, PathTemplate, StorageClass};
use crate::dimension::{DimensionGroup, Universe, near_miss};

/// All that is needed to write or ask for datasets of a type.
#[derive(Clone, Debug)]
pub(super) struct DatasetTypeRow {
    pub(super) id: i64,
    pub(super) dataset_type: DatasetType,
    pub(super) group: DimensionGroup,
    pub(super) table: String,
    template: String,
}

impl DatasetTypeRow {
    /// Where the files go.
    pub(super) fn template(&self) -> Result<PathTemplate, RegistryError> {
        Ok(PathTemplate::parse(&self.template, &self.dataset_type)?)
    }
}

impl Registry {
    /// Makes a dataset type, whose files go where `template` says ([`PathTemplate`]; `None`: the default one). `false` when it
    /// was there. Dimensions that others need or fix may be given or left out.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when the name stands for a dataset type with other dimensions, storage class or template;
    /// [`RegistryError::Dimension`]; [`RegistryError::Template`]; [`RegistryError::Invalid`] for a name that is not letters,
    /// digits and underscores.
    pub fn register_dataset_type(
        &self,
        dataset_type: &DatasetType,
        template: Option<&str>,
    ) -> Result<bool, RegistryError> {
        let name = &*dataset_type.name;
        let good = name.len() <= 128
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            return Err(RegistryError::Invalid {
                what: format!("dataset type {:?}", name.chars().take(64).collect::<String>()),
                reason:
                    "its name must be of at most 128 ASCII letters, digits and underscores, and not begin with a digit"
                        .to_owned(),
            });
        }
        let group = Universe::builtin().group(dataset_type.dimensions.iter().map(|d| &**d))?;
        let wanted = DatasetType {
            name: dataset_type.name.clone(),
            dimensions: group.required().iter().map(|d| Arc::from(*d)).collect(),
            storage_class: dataset_type.storage_class,
        };
        let template = match template {
            Some(text) => PathTemplate::parse(text, &wanted)?,
            None => PathTemplate::default_for(&wanted)?,
        };
        self.write(|database| {
            let group_id = dimension_group(database, &group)?;
            let insert =
                database.insert_or_nothing("dataset_type", &["name", "dimension_group", "storage_class", "template"]);
            let values = [
                Value::Text(name),
                Value::Int(group_id),
                Value::Text(wanted.storage_class.name()),
                Value::Text(template.as_str()),
            ];
            if database.execute(&insert, &values)? > 0 {
                return Ok(true);
            }
            let row = find(database, name)?;
            if row.dataset_type == wanted && row.template == template.as_str() {
                return Ok(false);
            }
            Err(RegistryError::Conflict {
                what: format!("dataset type `{name}`"),
                existing: describe(&row.dataset_type, &row.template),
                new: describe(&wanted, template.as_str()),
            })
        })
    }

    /// The path template of a dataset type.
    ///
    /// # Errors
    /// [`RegistryError::UnknownDatasetType`] with the nearest name.
    pub fn path_template(&self, dataset_type: &str) -> Result<PathTemplate, RegistryError> {
        self.read(|database| find(database, dataset_type)?.template())
    }
}

fn describe(dataset_type: &DatasetType, template: &str) -> String {
    let dimensions = dataset_type.dimensions.join(", ");
    format!("{} {{{dimensions}}} at `{}`", dataset_type.storage_class, template)
}

/// The number of a dimension group, with its table of datasets made when it is new.
fn dimension_group(database: &mut dyn Database, group: &DimensionGroup) -> Result<i64, RegistryError> {
    let dimensions = group.required().join(",");
    let (mut known, mut last) = (None, 0);
    database.query("SELECT id, dimensions FROM dimension_group", &[], &mut |row| {
        let id = row.int(0)?;
        last = last.max(id);
        if row.text(1)? == dimensions {
            known = Some(id);
        }
        Ok(())
    })?;
    if let Some(id) = known {
        return Ok(id);
    }
    // The table comes first: where making it ends the transaction, what is left behind by whoever was killed here belongs to
    // no group, and is empty.
    let id = last + 1;
    database.execute_script(&format!("DROP TABLE IF EXISTS {}", schema::dataset_table(id)))?;
    schema::create_dataset_table(database, id, group)?;
    database.execute(
        "INSERT INTO dimension_group (id, dimensions) VALUES (?1, ?2)",
        &[Value::Int(id), Value::Text(&dimensions)],
    )?;
    Ok(id)
}

const SELECT: &str = "SELECT t.id, t.name, t.storage_class, t.template, g.id, g.dimensions
     FROM dataset_type AS t JOIN dimension_group AS g ON g.id = t.dimension_group";

fn query(
    database: &mut dyn Database,
    clause: &str,
    values: &[Value<'_>],
) -> Result<Vec<DatasetTypeRow>, RegistryError> {
    let mut rows = Vec::new();
    database.query(&format!("{SELECT} {clause}"), values, &mut |row| {
        let (name, class, dimensions) = (row.text(1)?, row.text(2)?, row.text(5)?);
        let storage_class = StorageClass::ALL.into_iter().find(|c| c.name() == class);
        let storage_class = storage_class.ok_or_else(|| {
            RegistryError::damaged(format!("dataset type `{name}` has the unknown storage class `{class}`"))
        })?;
        let group = Universe::builtin().group(dimensions.split(',').filter(|d| !d.is_empty()))?;
        let dataset_type = DatasetType {
            name: name.into(),
            dimensions: group.required().iter().map(|d| Arc::from(*d)).collect(),
            storage_class,
        };
        rows.push(DatasetTypeRow {
            id: row.int(0)?,
            template: row.text(3)?.to_owned(),
            dataset_type,
            group,
            table: schema::dataset_table(row.int(4)?),
        });
        Ok(())
    })?;
    Ok(rows)
}

/// A dataset type by its name.
pub(super) fn find(database: &mut dyn Database, name: &str) -> Result<DatasetTypeRow, RegistryError> {
    if let Some(row) = query(database, "WHERE t.name = ?1", &[Value::Text(name)])?.pop() {
        return Ok(row);
    }
    let known = all(database)?;
    let near = near_miss(name, known.iter().map(|r| &*r.dataset_type.name));
    Err(RegistryError::UnknownDatasetType { name: name.to_owned(), near })
}

/// All dataset types, by name.
pub(super) fn all(database: &mut dyn Database) -> Result<Vec<DatasetTypeRow>, RegistryError> {
    query(database, "ORDER BY t.name", &[])
}

/// The tables of datasets, with the dimensions of each.
pub(super) fn tables(database: &mut dyn Database) -> Result<Vec<(String, DimensionGroup)>, RegistryError> {
    let mut tables = Vec::new();
    database.query("SELECT id, dimensions FROM dimension_group ORDER BY id", &[], &mut |row| {
        let group = Universe::builtin().group(row.text(1)?.split(',').filter(|d| !d.is_empty()))?;
        tables.push((schema::dataset_table(row.int(0)?), group));
        Ok(())
    })?;
    Ok(tables)
}
