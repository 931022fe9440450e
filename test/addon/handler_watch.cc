// The handler watch as a separate library, which is loaded before the C library.

#include "handler_watch.h"
