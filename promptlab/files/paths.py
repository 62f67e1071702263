"""Where things lie: the user's folders, the model store, the library in use."""

from __future__ import annotations

from pathlib import Path

import platformdirs

import promptlab
from promptlab.errors import NotFound

APP = "promptlab"


def cache_dir() -> Path:
    """The folder for what can be fetched again: models and unfinished downloads. XDG_CACHE_HOME moves it."""
    return platformdirs.user_cache_path(APP, appauthor=False)


def data_dir() -> Path:
    """The folder for what cannot: the history, where a library is read-only. XDG_DATA_HOME moves it."""
    return platformdirs.user_data_path(APP, appauthor=False)


def state_dir() -> Path:
    """The folder for where one has left off, with what was typed and not saved. XDG_STATE_HOME moves it."""
    return platformdirs.user_state_path(APP, appauthor=False)


def config_dir() -> Path:
    """The folder for what the user has set. XDG_CONFIG_HOME moves it."""
    return platformdirs.user_config_path(APP, appauthor=False)


def model_file(sha256: str) -> Path:
    """Where the weights with this hash lie once they are pulled."""
    return cache_dir() / "models" / f"{sha256}.gguf"


PACKAGED = "_library"
"""Where the library that ships lies in the installed package."""


def shipped_library() -> Path:
    """The library that comes with promptlab: inside the installed package, or the checkout that it runs from.

    Raises NotFound when neither is there.
    """
    package = Path(promptlab.__file__).resolve().parent
    if (package / PACKAGED).is_dir():
        return package / PACKAGED
    checkout = package.parent
    if _holds_prompts(checkout) and (checkout / "pyproject.toml").is_file():
        return checkout
    raise NotFound(f"the library that ships with promptlab is not in {package}", hint="Install promptlab again")


def is_packaged(library: Path) -> bool:
    """Whether a library is the one inside the installed package, which is nobody's to change."""
    return library == Path(promptlab.__file__).resolve().parent / PACKAGED


def working_folder() -> Path:
    """The folder that we are in. Raises NotFound when it has been removed."""
    try:
        return Path.cwd()
    except OSError:
        raise NotFound("the working folder is not there any more", hint="Change to one that is: `cd`") from None


def library_of(file: Path) -> tuple[Path, str]:
    """The library that a file below prompts/ belongs to, and the file's path there.

    Raises NotFound when it is in none, or not there.
    """
    path = working_folder() / file
    for folder in path.parents:
        if folder.name == "prompts":
            if not path.is_file():
                raise NotFound(f"there is no file {file}")
            return folder.parent, path.relative_to(folder).as_posix()
    raise NotFound(f"{file} is in no library: it is not below a folder prompts/")


def find_library(start: Path, explicit: Path | None) -> Path:
    """Find the library: `explicit` if there is one, else the nearest folder from `start` upwards that holds `prompts/`.

    Outside any library it is the one that ships. Raises NotFound when `explicit` holds no `prompts/`.
    """
    if explicit is not None:
        if not _holds_prompts(explicit):
            raise NotFound(
                f"{explicit} is not a library: there is no folder prompts/ in it", hint="`promptlab init` makes one"
            )
        return explicit.resolve()
    here = start.resolve()
    return next((folder for folder in (here, *here.parents) if _holds_prompts(folder)), None) or shipped_library()


def _holds_prompts(folder: Path) -> bool:
    try:
        return (folder / "prompts").is_dir()
    except OSError:  # such as a folder above that may not be looked into
        return False
