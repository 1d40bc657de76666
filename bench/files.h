/* Limits of open files. */
#pragma once

/* Raises the soft limit to the hard one: ten thousand connections want as many files. */
void files_raise_limit(void);
