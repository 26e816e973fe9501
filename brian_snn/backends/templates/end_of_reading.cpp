{#
Gives the streams back once Brian2 has read its files; ends the process if it complained of one (`complaints.cpp`).
#}
std::cout.rdbuf(standard_output);
std::cerr.rdbuf(complaints.standard_error);
if (complaints.heard) std::exit(3);
