# Run by CPack when the program and its man pages are staged, and before they become a package:
# puts what only a Debian system needs beside them.
set(root ${CPACK_TEMPORARY_DIRECTORY})
set(packaging ${CMAKE_CURRENT_LIST_DIR})

# put(DIRECTORY FILE [NAME]): a file of this folder, mode 0644
function(put directory file)
    set(name ${file})
    if(ARGC GREATER 2)
        set(name ${ARGV2})
    endif()
    get_filename_component(name ${name} NAME)
    file(MAKE_DIRECTORY ${root}/${directory})
    file(COPY_FILE ${packaging}/${file} ${root}/${directory}/${name})
    file(CHMOD ${root}/${directory}/${name}
        PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endfunction()

function(link to from)
    get_filename_component(directory ${root}/${from} DIRECTORY)
    file(MAKE_DIRECTORY ${directory})
    file(CREATE_LINK ${to} ${root}/${from} SYMBOLIC)
endfunction()

# Reproducible: no name and no time in it.
function(compress pattern)
    file(GLOB files ${root}/${pattern})
    if(files)
        execute_process(COMMAND gzip -9nf ${files} COMMAND_ERROR_IS_FATAL ANY)
    endif()
endfunction()

put(etc/millrace millrace.conf)
put(lib/systemd/system millrace.service)
put(usr/lib/sysusers.d millrace.sysusers millrace.conf)
put(usr/lib/tmpfiles.d millrace.tmpfiles millrace.conf)
put(usr/share/doc/millrace debian/copyright)
put(usr/share/doc/millrace debian/changelog)
put(usr/share/lintian/overrides debian/lintian-overrides millrace)

# The names that other programs know (Debian Policy 11.6, FHS 4.9.2).
link(../bin/millrace usr/sbin/sendmail)
link(../sbin/sendmail usr/lib/sendmail)
link(millrace usr/bin/mailq)
link(millrace usr/bin/newaliases)
if(EXISTS ${root}/usr/share/man/man8/millrace.8)
    link(millrace.8.gz usr/share/man/man8/sendmail.8.gz)
    link(../man8/millrace.8.gz usr/share/man/man1/millrace.1.gz)
    link(../man8/millrace.8.gz usr/share/man/man1/mailq.1.gz)
    link(../man8/millrace.8.gz usr/share/man/man1/newaliases.1.gz)
endif()

compress(usr/share/doc/millrace/changelog)
compress(usr/share/man/man?/*.[0-9])
