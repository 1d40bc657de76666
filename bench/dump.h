/* Messages as files, for those who want to see what arrived. */
#pragma once

#include "base/span.h"

/* Writes DIRECTORY/000001.eml for number 1; it appears there whole. 0 or -errno. */
int dump_write(const char *directory, uint64_t number, struct span message);
