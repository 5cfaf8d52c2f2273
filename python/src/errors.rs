//! From Bunter's errors to Python's exceptions: the class says what kind of mistake it is, the text is the library's own.

use bunter::camera::CameraError;
use bunter::coadd::CoaddError;
use bunter::datastore::DatastoreError;
use bunter::ranks::BuildError;
use bunter::simulate::SimulateError;
use bunter::{
    ButlerError, CollectionNameError, DimensionError, ExpressionError, HeaderError, RegistryError, SkyMapError,
    SnapshotError, SphereError, TemplateError, WcsError,
};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The classes of `bunter.exceptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    NotFound,
    Usage,
    WrongType,
    Conflict,
    ReadOnly,
    Damaged,
    Storage,
    Internal,
}

impl Kind {
    const fn class(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::NotFound => "NotFoundError",
            Self::Usage => "UsageError",
            Self::WrongType => "WrongTypeError",
            Self::Conflict => "ConflictError",
            Self::ReadOnly => "ReadOnlyError",
            Self::Damaged => "DamagedError",
            Self::Storage => "StorageError",
            Self::Internal => "InternalError",
        }
    }
}

/// The exception of a kind with a text.
pub(crate) fn raise(kind: Kind, text: impl std::fmt::Display) -> PyErr {
    let text = text.to_string();
    Python::attach(|py| {
        let class = py.import("bunter.exceptions").and_then(|module| module.getattr(kind.class()));
        match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
            Ok(class) => PyErr::from_type(class, text),
            Err(_) => PyErr::from_type(PyRuntimeError::type_object(py), text),
        }
    })
}

/// A value or a combination of arguments that has no meaning.
pub(crate) fn usage(text: impl std::fmt::Display) -> PyErr {
    raise(Kind::Usage, text)
}

/// A value of a type that cannot stand here.
pub(crate) fn wrong_type(text: impl std::fmt::Display) -> PyErr {
    raise(Kind::WrongType, text)
}

/// An error that knows which kind of exception it is.
pub(crate) trait Classified: std::fmt::Display {
    fn kind(&self) -> Kind;
}

/// `?` for the library's errors in functions that give [`PyResult`].
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: Classified> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|e| raise(e.kind(), e))
    }
}

macro_rules! always {
    ($($error:ty => $kind:ident),* $(,)?) => {
        $(impl Classified for $error {
            fn kind(&self) -> Kind { Kind::$kind }
        })*
    };
}
always!(
    DimensionError => Usage,
    ExpressionError => Usage,
    TemplateError => Usage,
    CollectionNameError => Usage,
    SphereError => Usage,
    WcsError => Usage,
    HeaderError => Usage,
    CameraError => Usage,
    arrow::error::ArrowError => Usage,
    serde_json::Error => Usage,
);

impl Classified for ButlerError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotARepository { .. } | Self::NotFound { .. } => Kind::NotFound,
            Self::RepositoryExists { .. } => Kind::Conflict,
            Self::Io { .. } => Kind::Storage,
            Self::ReadOnly { .. } => Kind::ReadOnly,
            Self::DamagedRecord { .. } | Self::Config { .. } => Kind::Damaged,
            Self::Registry(e) => e.kind(),
            Self::Datastore(e) => e.kind(),
            Self::SkyMap(e) => e.kind(),
            Self::Snapshot(e) => e.kind(),
            Self::Pack(e) => e.kind(),
            Self::Question(_)
            | Self::Exposure { .. }
            | Self::Camera(_)
            | Self::Dimension(_)
            | Self::Expression(_)
            | Self::Template(_)
            | Self::Sphere(_)
            | Self::Wcs(_) => Kind::Usage,
            _ => Kind::Error,
        }
    }
}

impl Classified for RegistryError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownDatasetType { .. }
            | Self::UnknownCollection { .. }
            | Self::UnknownSkyMap { .. }
            | Self::Missing { .. } => Kind::NotFound,
            Self::Conflict { .. } | Self::AlreadyExists { .. } => Kind::Conflict,
            Self::ReadOnly { .. } => Kind::ReadOnly,
            Self::Busy { .. } | Self::DiskFull { .. } | Self::Store { .. } => Kind::Storage,
            Self::Damaged { .. } | Self::SchemaVersion { .. } => Kind::Damaged,
            _ => Kind::Usage,
        }
    }
}

impl Classified for DatastoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } => Kind::Storage,
            Self::NotFound { .. } => Kind::NotFound,
            Self::AlreadyExists { .. } => Kind::Conflict,
            Self::Damaged { .. }
            | Self::WrongSize { .. }
            | Self::WrongChecksum { .. }
            | Self::Fits { .. }
            | Self::NoSuchHdu { .. }
            | Self::Wcs { .. } => Kind::Damaged,
            _ => Kind::Usage,
        }
    }
}

impl Classified for SnapshotError {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } => Kind::Storage,
            Self::NoTable { .. } | Self::NoColumn { .. } | Self::NoBlob { .. } | Self::NoRow { .. } => Kind::NotFound,
            Self::WrongType { .. } | Self::Unsupported { .. } | Self::Duplicate { .. } => Kind::Usage,
            _ => Kind::Damaged,
        }
    }
}

impl Classified for SkyMapError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownPreset { .. }
            | Self::TractOutOfRange { .. }
            | Self::PatchOutOfRange { .. }
            | Self::CellOutOfRange { .. }
            | Self::OutsideTract { .. } => Kind::NotFound,
            _ => Kind::Usage,
        }
    }
}

impl Classified for CoaddError {
    fn kind(&self) -> Kind {
        match self {
            Self::Datastore(e) => e.kind(),
            Self::SkyMap(e) => e.kind(),
            Self::NoUsablePixels { .. } => Kind::NotFound,
            _ => Kind::Usage,
        }
    }
}

impl Classified for BuildError {
    fn kind(&self) -> Kind {
        match self {
            Self::NothingToDo { .. } => Kind::NotFound,
            Self::Busy { .. } => Kind::Conflict,
            Self::Io { .. } => Kind::Storage,
            Self::Butler(e) => e.kind(),
            Self::Registry(e) => e.kind(),
            Self::Datastore(e) => e.kind(),
            Self::Snapshot(e) => e.kind(),
            Self::SkyMap(e) => e.kind(),
            Self::Coadd(e) => e.kind(),
            _ => Kind::Error,
        }
    }
}

impl Classified for SimulateError {
    fn kind(&self) -> Kind {
        match self {
            Self::Option { .. } => Kind::Usage,
            _ => Kind::Storage,
        }
    }
}
