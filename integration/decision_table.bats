#!/usr/bin/env bats
# The decision table of the rule slave-protected-binds, row by row: what the container and the host see, and what config.json
# became. The columns are explained in rows.bash.

load helpers
load rows

#   runtime options                 propagation bare               guarded            options after    propagation log
row runc    rbind                   -           slave/released     slave/released     rbind,rslave     rslave      info
row crun    rbind                   -           private/pinned     slave/released     rbind,rslave     rslave      info
row both    rbind,private           -           private/pinned     slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate          -           private/pinned     slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate,ro       -           private/pinned     slave/released     rbind,rslave,ro  rslave      info
row runc    rbind,slave             -           slave/released     slave/released     rbind,rslave     rslave      info
row crun    rbind,slave             -           private/pinned     slave/released     rbind,rslave     rslave      info

# rslave is kept, and what would defeat it is repaired.
row runc    rbind,rslave            -           slave/released     slave/released     =                rslave      info
row crun    rbind,rslave            -           private/pinned     slave/released     =                rslave      warning
row both    rbind,rslave            private     private/pinned     slave/released     =                rslave      warning
row both    rbind,rslave            slave       slave/released     slave/released     =                =           -
row both    rbind,rslave            rslave      slave/released     slave/released     =                =           -

# rootfsPropagation: what cancels rslave is replaced, what does not is kept.
row both    rbind,rprivate          empty       private/pinned     slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate          private     private/pinned     slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate          rprivate    private/pinned     slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate          unbindable  refused            slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate          runbindable refused            slave/released     rbind,rslave     rslave      info
row both    rbind,rprivate          slave       private/pinned     slave/released     rbind,rslave     =           info
row both    rbind,rprivate          rslave      private/pinned     slave/released     rbind,rslave     =           info
row both    rbind,rprivate          shared      private/pinned     slave/released     rbind,rslave     =           info
row runc    rbind,rprivate          rshared     private/pinned     slave/released     rbind,rslave     =           info
row crun    rbind,rprivate          rshared     shared/pinned      shared+slave/released rbind,rslave  =           info

# A mount that the container may send to the host is a wish of its own.
row both    rbind,rshared           rshared     shared/released    shared/released    =                =           -
row both    rbind,rshared           shared      shared/released    shared/released    =                =           -
row runc    rbind,rshared           -           shared+slave/released shared+slave/released =          =           -
row both    rbind,shared            rshared     shared/released    shared/released    =                =           warning
row both    rbind,shared            shared      shared/released    shared/released    =                =           warning

row runc    rbind,unbindable        -           unbindable/pinned  slave/released     rbind,rslave     rslave      warning
row crun    rbind,unbindable        -           private/pinned     slave/released     rbind,rslave     rslave      warning
row runc    rbind,runbindable       -           unbindable/pinned  slave/released     rbind,rslave     rslave      warning
row crun    rbind,runbindable       -           private/pinned     slave/released     rbind,rslave     rslave      warning

# Several words: runc applies them in order, crun refuses.
row runc    rbind,rprivate,rslave   -           private/pinned     slave/released     rbind,rslave     rslave      info
row runc    rbind,rslave,rprivate   -           private/pinned     slave/released     rbind,rslave     rslave      info
row crun    rbind,rprivate,rslave   -           refused            slave/released     rbind,rslave     rslave      info
row crun    rbind,rslave,rprivate   -           refused            slave/released     rbind,rslave     rslave      info
row runc    rbind,private,rshared   rshared     shared/pinned      shared/released    rbind,rshared    =           info

# A plain bind holds no nested mounts; only crun lets the r of the word make it recursive.
row runc    bind                    -           slave/without      slave/without      =                =           -
row crun    bind                    -           private/without    private/without    =                =           -
row both    bind,private            -           private/without    private/without    =                =           -
row runc    bind,slave              -           slave/without      slave/without      =                =           -
row crun    bind,slave              -           private/without    private/without    =                =           -
row runc    bind,rprivate           -           private/without    private/without    =                =           -
row crun    bind,rprivate           -           private/pinned     private/without    bind,private     =           info
row crun    bind,rslave             -           private/pinned     private/without    bind,slave       =           info

# Recursively read-only: mounts that arrive later would be writable, so private stays private.
row runc    rbind,rro               -           slave/released     slave/released     =                =           warning
row crun    rbind,rro               -           private/pinned     private/pinned     =                =           warning
row both    rbind,rro,rprivate      -           private/pinned     private/pinned     =                =           warning
row both    rbind,rro,rslave        private     private/pinned     slave/released     =                rslave      warning
row both    rbind,rro,rslave        rslave      slave/released     slave/released     =                =           -
