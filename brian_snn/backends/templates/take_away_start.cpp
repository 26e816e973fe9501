{#
Inserted into the main() of Brian2's standalone project before it reads any file, in a program to take away.

The command line is that of `take_away::Program`; what Brian2 takes for its own, the values of parameters and the files
of arrays, stands in a file of the program's folder.
#}
take_away::Program program(argc, argv);
args = program.parameters();
{% include "complaints.cpp" %}
