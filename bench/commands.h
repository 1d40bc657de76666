/* The commands that bench/ adds to the program; see relay/commands.h. */
#pragma once

int command_sink(int argc, char **argv);
int command_load(int argc, char **argv);
