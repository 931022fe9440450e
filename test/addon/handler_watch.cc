// The handler watch as a library of its own, to be loaded before the C library.

#include "handler_watch.h"
