//! [`Butler`]: one repository, opened.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;

use super::records::{Value, record_batch};
use super::{ButlerError, RepositoryConfig};
use crate::camera::Instrument;
use crate::dataset::{DatasetType, StorageClass};
use crate::datastore::Datastore;
use crate::dimension::Universe;
use crate::registry::{Inserted, Migration, Query, Registry, RegistryAddress, RegistryReader};
use crate::skymap::SkyMap;

/// A repository, opened: what exists, where it is on the sky, and its bytes as arrays.
///
/// ```no_run
/// use bunter::{Butler, DataId};
///
/// let butler = Butler::open("/data/hsc")?;
/// let id = DataId::new().with("instrument", "HSC").with("visit", 1228).with("detector", 42);
/// let image = butler.get("calexp.image", &id, &["HSC/runs/w30"], None)?;
/// # Ok::<(), bunter::ButlerError>(())
/// ```
pub struct Butler {
    root: PathBuf,
    datastore: Datastore,
    reader: Arc<dyn RegistryReader + Send + Sync>,
    /// Absent in a butler that was opened from a snapshot.
    registry: Option<Arc<Registry>>,
    sky_maps: Mutex<HashMap<String, Arc<SkyMap>>>,
}

impl Butler {
    /// Makes a repository in `root` (created when absent) with the usual dataset types `calexp` and `deepCoadd`.
    ///
    /// # Errors
    /// [`ButlerError::RepositoryExists`], [`ButlerError::Io`], [`ButlerError::Registry`].
    pub fn create(root: impl AsRef<Path>) -> Result<Self, ButlerError> {
        Self::create_with(root, None)
    }

    /// Makes a repository as [`Butler::create`] does, with its registry at an address of its own; `None`: what the environment
    /// variable `BUNTER_REGISTRY` says, or else a file in the repository.
    ///
    /// # Errors
    /// As [`Butler::create`]; [`ButlerError::Config`] for an address with a password in it, which would be kept in the
    /// repository for all to read.
    pub fn create_with(root: impl AsRef<Path>, registry: Option<&RegistryAddress>) -> Result<Self, ButlerError> {
        let root = root.as_ref();
        fs::create_dir_all(root).map_err(|source| ButlerError::Io {
            doing: "create",
            path: root.to_owned(),
            source,
        })?;
        if root.join(super::config::FILE_NAME).exists() {
            return Err(ButlerError::RepositoryExists { root: root.to_owned() });
        }
        let mut config = RepositoryConfig::default();
        if let Some(address) = registry {
            if address.has_password() {
                return Err(ButlerError::Config {
                    path: root.join(super::config::FILE_NAME),
                    message: format!(
                        "there is a password in the address of {address}: put it into ~/.pgpass, PGPASSWORD, ~/.my.cnf or \
                         MYSQL_PWD instead, for this file is read by all"
                    ),
                });
            }
            config.registry = address.to_string();
        }
        Registry::create_at(&config.registry_address(root)?)?;
        // The configuration comes last: a folder is a repository only when all of it is there.
        config.write_new(root)?;
        let butler = Self::open(root)?;
        for (name, dimensions, storage_class) in [
            ("calexp", ["instrument", "visit", "detector"].as_slice(), StorageClass::Exposure),
            ("deepCoadd", &["skymap", "tract", "patch", "band"], StorageClass::Coadd),
        ] {
            butler.register_dataset_type(&butler.dataset_type_of(name, dimensions, storage_class)?, None)?;
        }
        Ok(butler)
    }

    /// Opens a repository to read and write.
    ///
    /// # Errors
    /// [`ButlerError::NotARepository`], [`ButlerError::Config`], [`ButlerError::Registry`].
    pub fn open(root: impl AsRef<Path>) -> Result<Self, ButlerError> {
        let root = root.as_ref();
        let config = RepositoryConfig::read(root)?;
        let registry = Arc::new(Registry::open_at(&config.registry_address(root)?)?);
        Ok(Self::with_parts(root, Arc::clone(&registry) as Arc<dyn RegistryReader + Send + Sync>, Some(registry)))
    }

    /// Brings the registry of a repository that an older version made to this version's tables, or with `dry_run` says what
    /// that would do.
    ///
    /// # Errors
    /// As [`Registry::migrate`]; [`ButlerError::NotARepository`], [`ButlerError::Config`].
    pub fn migrate(root: impl AsRef<Path>, dry_run: bool) -> Result<Migration, ButlerError> {
        let root = root.as_ref();
        let config = RepositoryConfig::read(root)?;
        Ok(Registry::migrate(&config.registry_address(root)?, dry_run)?)
    }

    /// A butler that knows only what `reader` knows, a snapshot for one, and reads the bytes in the repository at `root`.
    pub fn with_reader(root: impl AsRef<Path>, reader: Arc<dyn RegistryReader + Send + Sync>) -> Self {
        Self::with_parts(root.as_ref(), reader, None)
    }

    fn with_parts(root: &Path, reader: Arc<dyn RegistryReader + Send + Sync>, registry: Option<Arc<Registry>>) -> Self {
        // Absolute, so that a butler survives a change of the working directory.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let datastore = Datastore::new(&root);
        Self { root, datastore, reader, registry, sky_maps: Mutex::default() }
    }

    /// The repository's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the bytes are.
    pub fn datastore(&self) -> &Datastore {
        &self.datastore
    }

    /// What exists, to read.
    pub fn reader(&self) -> &(dyn RegistryReader + Send + Sync) {
        &*self.reader
    }

    /// What exists, to write.
    ///
    /// # Errors
    /// [`ButlerError::ReadOnly`] for a butler that was opened from a snapshot.
    pub fn registry(&self) -> Result<&Registry, ButlerError> {
        self.registry.as_deref().ok_or(ButlerError::ReadOnly { doing: "write to the registry" })
    }

    /// This butler as the repository is now: all it answers is of this moment, whatever others write meanwhile. It cannot
    /// write. A butler that was opened from a snapshot is of one moment by itself.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] when the registry cannot be opened once more.
    pub fn at_this_moment(&self) -> Result<Self, ButlerError> {
        let Some(registry) = &self.registry else {
            return Ok(Self::with_reader(&self.root, Arc::clone(&self.reader)));
        };
        let registry = Arc::new(registry.at_this_moment()?);
        Ok(Self::with_parts(&self.root, Arc::clone(&registry) as Arc<dyn RegistryReader + Send + Sync>, Some(registry)))
    }

    pub(super) const fn sky_maps(&self) -> &Mutex<HashMap<String, Arc<SkyMap>>> {
        &self.sky_maps
    }

    /// The registry, shared; none in a butler that was opened from a snapshot.
    pub(super) fn registry_handle(&self) -> Option<&Arc<Registry>> {
        self.registry.as_ref()
    }

    /// Registers an instrument with its detectors and filters. Doing it twice changes nothing; new detectors and filters
    /// are added.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] when the repository has one of the records with other values.
    pub fn register_instrument(&self, instrument: &Instrument) -> Result<Inserted, ButlerError> {
        let registry = self.registry()?;
        let name = Value::from(instrument.name.as_str());
        let mut all = vec![registry.insert_dimension_records(
            "instrument",
            &record_batch("instrument", 1, |_, column| match column {
                "instrument" => name.clone(),
                "translator" => Value::from(instrument.name.as_str()),
                _ => Value::Null,
            })?,
        )?];
        let filters = &instrument.filters;
        let inserted = registry.insert_dimension_records(
            "physical_filter",
            &record_batch("physical_filter", filters.len(), |row, column| match column {
                "instrument" => name.clone(),
                "physical_filter" => Value::from(filters[row].name.as_str()),
                "band" => Value::from(filters[row].band.as_str()),
                _ => Value::Null,
            })?,
        )?;
        all.push(inserted);
        let detectors = &instrument.detectors;
        let inserted = registry.insert_dimension_records(
            "detector",
            &record_batch("detector", detectors.len(), |row, column| match column {
                "instrument" => name.clone(),
                "detector" => Value::from(detectors[row].id),
                "full_name" => Value::from(detectors[row].name.as_str()),
                "raft" => Value::from(detectors[row].raft.as_deref()),
                "name_in_raft" => Value::from(detectors[row].slot.as_deref()),
                "purpose" => Value::from(detectors[row].purpose.as_str()),
                _ => Value::Null,
            })?,
        )?;
        all.push(inserted);
        self.keep_definition(instrument)?;
        let sum = |count: fn(&Inserted) -> usize| all.iter().map(count).sum();
        Ok(Inserted { new: sum(|i| i.new), existing: sum(|i| i.existing) })
    }

    /// Registers a sky map under a name. Its definition is stored; tracts and patches are computed from it.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] when another sky map has the name.
    pub fn register_sky_map(&self, name: &str, sky_map: &SkyMap) -> Result<Inserted, ButlerError> {
        let (nx, ny) = sky_map.max_patches();
        let definition = sky_map.config().to_toml()?;
        Ok(self.registry()?.register_sky_map(
            name,
            &definition,
            &sky_map.sha1(),
            i64::from(sky_map.len()),
            (i64::from(nx), i64::from(ny)),
        )?)
    }

    /// A registered sky map, made once from its definition.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for an unknown name (with the near one), [`ButlerError::SkyMap`].
    pub fn sky_map(&self, name: &str) -> Result<Arc<SkyMap>, ButlerError> {
        let mut known = self.sky_maps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sky_map) = known.get(name) {
            return Ok(Arc::clone(sky_map));
        }
        let sky_map = Arc::new(SkyMap::from_toml(&self.reader.sky_map_definition(name)?)?);
        known.insert(name.to_owned(), Arc::clone(&sky_map));
        Ok(sky_map)
    }

    /// Registers a dataset type, with its path template (`None`: the usual one). Doing it twice changes nothing; `false`
    /// when it was there.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] when the name is taken by another definition, or the template cannot be used.
    pub fn register_dataset_type(
        &self,
        dataset_type: &DatasetType,
        template: Option<&str>,
    ) -> Result<bool, ButlerError> {
        Ok(self.registry()?.register_dataset_type(dataset_type, template)?)
    }

    /// The dataset type of a name, dimensions (what they need is added, so `visit, detector` brings the instrument), and
    /// storage class.
    ///
    /// # Errors
    /// [`ButlerError::Dimension`] for an unknown dimension.
    pub fn dataset_type_of(
        &self,
        name: &str,
        dimensions: &[&str],
        storage_class: StorageClass,
    ) -> Result<DatasetType, ButlerError> {
        let group = Universe::builtin().group(dimensions.iter().copied())?;
        Ok(DatasetType {
            name: name.into(),
            dimensions: group.required().iter().map(|d| (*d).into()).collect(),
            storage_class,
        })
    }

    /// The datasets of a type in collections; see [`RegistryReader::datasets`].
    ///
    /// # Errors
    /// [`ButlerError::Registry`].
    pub fn query_datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, ButlerError> {
        let query = Query { filter: self.standard_filter(query.filter.as_ref(), None)?, ..query.clone() };
        Ok(self.reader.datasets(dataset_type, collections, &query, find_first)?)
    }

    /// Where each dataset of a search was found, and what it shadowed; see [`RegistryReader::explain`].
    ///
    /// # Errors
    /// [`ButlerError::Registry`].
    pub fn explain_datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, ButlerError> {
        let query = Query { filter: self.standard_filter(query.filter.as_ref(), None)?, ..query.clone() };
        Ok(self.reader.explain(dataset_type, collections, &query)?)
    }
}
