#!/usr/bin/env bash
# Bring up a one-machine Slurm (munged, [mariadbd, slurmdbd], slurmctld, slurmd) on loopback, as root, no systemd.
# usage: slurm-up.sh [DB=1|0]; env: DB (1: slurmdbd+mariadb accounting; 0: none), CPUS, MEM_MB, ROOT (state dir)
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "run as root" >&2; exit 1; }
ROOT=${ROOT:-${TMPDIR:-/tmp}/ecmpipe-slurm}; DB=${DB:-1}; NODES=${NODES:-2}
CPUS=${CPUS:-2}; MEM_MB=${MEM_MB:-2000}
SHOST=$(hostname -s)
export DEBIAN_FRONTEND=noninteractive
need="munge slurm-wlm"; [ "$DB" = 1 ] && need="$need slurmdbd mariadb-server"
if ! dpkg -s $need >/dev/null 2>&1; then
  # keep apt from starting services (it would otherwise try on machines with an init)
  added=0; if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; added=1; fi
  apt-get update -q >/dev/null; apt-get install -y -q --no-install-recommends $need >/dev/null
  [ $added = 1 ] && rm -f /usr/sbin/policy-rc.d
fi
mkdir -p "$ROOT"/{pid,log,ctld,db,mysql-run}; chmod 755 "$ROOT"
for i in $(seq $NODES); do mkdir -p "$ROOT/d$i"; done
alive(){ [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
wait_for(){ local what=$1; shift; for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return 0; sleep .2; done; echo "timeout: $what" >&2; exit 1; }

# --- munge
if ! munge -n >/dev/null 2>&1; then
  install -d -o munge -g munge -m 755 /run/munge; install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge /etc/munge
  [ -s /etc/munge/munge.key ] || runuser -u munge -- /usr/sbin/mungekey
  runuser -u munge -- /usr/sbin/munged
  wait_for munge munge -n; cp /run/munge/munged.pid "$ROOT/pid/munged"
fi
# --- config (must be at the compiled-in place: the jobstep executor strips SLURM_CONF from the step's environment)
mkdir -p /etc/slurm
if [ -e /etc/slurm/slurm.conf ] && ! grep -q '# ecmpipe test cluster' /etc/slurm/slurm.conf; then echo "refusing: a foreign /etc/slurm/slurm.conf exists" >&2; exit 1; fi
if [ "$DB" = 1 ]; then ACCT="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoreFlags=job_comment"; else ACCT="AccountingStorageType=accounting_storage/none"; fi
cat >/etc/slurm/slurm.conf <<C
# ecmpipe test cluster
ClusterName=ecm
SlurmctldHost=$SHOST(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$ROOT/pid/slurmctld
SlurmdPidFile=$ROOT/pid/slurmd-%n
StateSaveLocation=$ROOT/ctld
SlurmdSpoolDir=$ROOT/d-%n
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=pmi2
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=${MIN_JOB_AGE:-300}
MaxArraySize=1001
KillWait=2
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=60
ReturnToService=2
SlurmdParameters=config_overrides
DefMemPerCPU=200
$ACCT
NodeName=n[1-$NODES] NodeHostname=$SHOST NodeAddr=127.0.0.1 Port=$([ $NODES -gt 1 ] && echo "[17001-$((17000+NODES))]" || echo 17001) CPUs=$CPUS RealMemory=$MEM_MB State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=3-00:00:00 State=UP OverSubscribe=NO
PartitionName=short Nodes=ALL MaxTime=1 State=UP
C
cat >/etc/slurm/cgroup.conf <<C
CgroupPlugin=cgroup/v1
C
# --- accounting
if [ "$DB" = 1 ]; then
  if ! alive "$ROOT/pid/mariadbd"; then
    chown -R mysql:mysql "$ROOT/db" "$ROOT/mysql-run"
    [ -d "$ROOT/db/mysql" ] || mariadb-install-db --no-defaults --user=mysql --datadir="$ROOT/db" --skip-test-db >"$ROOT/log/mariadb-install.log" 2>&1
    setsid /usr/sbin/mariadbd --no-defaults --user=mysql --datadir="$ROOT/db" --skip-networking --socket="$ROOT/mysql-run/sock" \
      --pid-file="$ROOT/mysql-run/pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --innodb-log-file-size=16M >"$ROOT/log/mariadb.log" 2>&1 </dev/null &
    wait_for mariadb mariadb --no-defaults -uroot -S "$ROOT/mysql-run/sock" -e 'select 1'
    cp "$ROOT/mysql-run/pid" "$ROOT/pid/mariadbd"
    mariadb --no-defaults -uroot -S "$ROOT/mysql-run/sock" -e "create database if not exists slurm_acct_db; create user if not exists slurm@localhost identified by 'slurm'; grant all on slurm_acct_db.* to slurm@localhost;"
  fi
  if ! alive "$ROOT/pid/slurmdbd"; then
    cat >/etc/slurm/slurmdbd.conf <<C
AuthType=auth/munge
DbdHost=localhost
DbdPort=16819
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
C
    chmod 600 /etc/slurm/slurmdbd.conf
    sed -i 's/^AccountingStorageHost=.*/&\nAccountingStoragePort=16819/' /etc/slurm/slurm.conf
    # libmariadb finds a non-default unix socket only through its own environment/option file
    MYSQL_UNIX_PORT="$ROOT/mysql-run/sock" /usr/sbin/slurmdbd
    wait_for slurmdbd sacctmgr -n list cluster
    sacctmgr -i add cluster ecm >/dev/null 2>&1 || true
    sacctmgr -i add account ecm Description=ecm Organization=ecm >/dev/null 2>&1 || true
    sacctmgr -i add user root account=ecm >/dev/null 2>&1 || true
  fi
fi
# --- controller and node daemons
alive "$ROOT/pid/slurmctld" || /usr/sbin/slurmctld -i
for i in $(seq $NODES); do mkdir -p "$ROOT/d-n$i"; alive "$ROOT/pid/slurmd-n$i" || /usr/sbin/slurmd -N n$i; done
wait_for "nodes idle" sh -c "sinfo -h -o %T | grep -qE 'idle|mixed|allocated' && ! sinfo -h -o %T | grep -qE 'unk|down'"
sinfo
