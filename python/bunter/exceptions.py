"""What goes wrong, by kind. The text of an exception says what, where, and what to do."""


class Error(Exception):
    """Any error of Bunter's."""

    __module__ = "bunter"


class NotFoundError(Error, LookupError):
    """There is no such repository, dataset, collection, tract …; the text names the near one."""

    __module__ = "bunter"


class UsageError(Error, ValueError):
    """A value or a combination of arguments that has no meaning."""

    __module__ = "bunter"


class WrongTypeError(UsageError, TypeError):
    """A value of a type that cannot stand there."""

    __module__ = "bunter"


class ConflictError(Error):
    """Something else is there under the same name; it stays."""

    __module__ = "bunter"


class ReadOnlyError(Error):
    """The butler was made of a snapshot, or the registry cannot be written to."""

    __module__ = "bunter"


class DamagedError(Error):
    """A file or a record is not as it was written."""

    __module__ = "bunter"


class StorageError(Error, OSError):
    """The file system or the database refused."""

    __module__ = "bunter"


class InternalError(Error, RuntimeError):
    """A defect in Bunter."""

    __module__ = "bunter"
