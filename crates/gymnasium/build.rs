//! Tells the linker where Python's shared library lies, so that it is found without
//! `LD_LIBRARY_PATH` when the program is started.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}
