/* What own_file.c asks of segment.c: nobody else includes this. */
#pragma once

#include "queue/segment.h"

int segments_create_own(struct segments *segments, uint64_t id, int *file);
void segments_unlink_own(struct segments *segments, uint64_t id);
bool segments_is_synced(const struct segments *segments); /* false: nothing is ever synced */
