//! The families of the mounts of NFS servers.

use crate::sample::Family;

const MOUNT: &[&str] = &["export", "protocol", "mountaddr"];
const CONNECTION: &[&str] = &["export", "protocol", "mountaddr", "transport"];
const OPERATION: &[&str] = &["export", "protocol", "mountaddr", "operation"];
const MILLISECONDS: f64 = 1000.0;

pub(super) const AGE: Family =
    Family::counter("node_mountstats_nfs_age_seconds_total", MOUNT, "Since it was mounted.");
pub(super) const INFO: Family = Family::gauge(
    "node_mountstats_nfs_mountpoint_info",
    &["export", "protocol", "mountaddr", "mountpoint"],
    "Always 1; where it is mounted is a label.",
);
/// In the order of the line.
pub(super) static BYTES: [Option<Family>; 8] = [
    Some(Family::counter("node_mountstats_nfs_read_bytes_total", MOUNT, "Bytes read by read().")),
    Some(Family::counter(
        "node_mountstats_nfs_write_bytes_total",
        MOUNT,
        "Bytes written by write().",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_direct_read_bytes_total",
        MOUNT,
        "Bytes read with O_DIRECT.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_direct_write_bytes_total",
        MOUNT,
        "Bytes written with O_DIRECT.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_total_read_bytes_total",
        MOUNT,
        "Bytes read from the server.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_total_write_bytes_total",
        MOUNT,
        "Bytes written to the server.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_read_pages_total",
        MOUNT,
        "Pages read through mmap().",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_write_pages_total",
        MOUNT,
        "Pages written through mmap().",
    )),
];
/// In the order of the line.
pub(super) static EVENTS: [Option<Family>; 27] = [
    Some(Family::counter(
        "node_mountstats_nfs_event_inode_revalidate_total",
        MOUNT,
        "Attributes of a file asked for anew.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_dnode_revalidate_total",
        MOUNT,
        "Attributes of a folder asked for anew.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_data_invalidate_total",
        MOUNT,
        "Data of a file thrown away.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_attribute_invalidate_total",
        MOUNT,
        "Attributes thrown away.",
    )),
    Some(Family::counter("node_mountstats_nfs_event_vfs_open_total", MOUNT, "Files opened.")),
    Some(Family::counter("node_mountstats_nfs_event_vfs_lookup_total", MOUNT, "Names looked up.")),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_access_total",
        MOUNT,
        "Permissions asked for.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_update_page_total",
        MOUNT,
        "Pages changed.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_read_page_total",
        MOUNT,
        "Pages read one by one.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_read_pages_total",
        MOUNT,
        "Groups of pages read.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_write_page_total",
        MOUNT,
        "Pages written one by one.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_write_pages_total",
        MOUNT,
        "Groups of pages written.",
    )),
    Some(Family::counter("node_mountstats_nfs_event_vfs_getdents_total", MOUNT, "Folders listed.")),
    Some(Family::counter("node_mountstats_nfs_event_vfs_setattr_total", MOUNT, "Attributes set.")),
    Some(Family::counter("node_mountstats_nfs_event_vfs_flush_total", MOUNT, "Writes flushed.")),
    Some(Family::counter("node_mountstats_nfs_event_vfs_fsync_total", MOUNT, "Calls of fsync.")),
    Some(Family::counter("node_mountstats_nfs_event_vfs_lock_total", MOUNT, "Locks asked for.")),
    Some(Family::counter(
        "node_mountstats_nfs_event_vfs_file_release_total",
        MOUNT,
        "Files closed.",
    )),
    None,
    Some(Family::counter(
        "node_mountstats_nfs_event_truncation_total",
        MOUNT,
        "Files made shorter.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_write_extension_total",
        MOUNT,
        "Files made longer by writing.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_silly_rename_total",
        MOUNT,
        "Open files removed, and so renamed.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_short_read_total",
        MOUNT,
        "Reads with less than asked for.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_short_write_total",
        MOUNT,
        "Writes of less than asked for.",
    )),
    Some(Family::counter(
        "node_mountstats_nfs_event_jukebox_delay_total",
        MOUNT,
        "Answers that said: later.",
    )),
    Some(Family::counter("node_mountstats_nfs_event_pnfs_read_total", MOUNT, "Reads by pNFS.")),
    Some(Family::counter("node_mountstats_nfs_event_pnfs_write_total", MOUNT, "Writes by pNFS.")),
];
/// By column of the line for TCP.
pub(super) static TRANSPORT: [(usize, Family); 10] = [
    (
        1,
        Family::counter(
            "node_mountstats_nfs_transport_bind_total",
            CONNECTION,
            "Connections made from scratch.",
        ),
    ),
    (
        2,
        Family::counter(
            "node_mountstats_nfs_transport_connect_total",
            CONNECTION,
            "TCP connections made.",
        ),
    ),
    (
        4,
        Family::gauge(
            "node_mountstats_nfs_transport_idle_time_seconds",
            CONNECTION,
            "Seconds since the last call.",
        ),
    ),
    (5, Family::counter("node_mountstats_nfs_transport_sends_total", CONNECTION, "Calls sent.")),
    (
        6,
        Family::counter(
            "node_mountstats_nfs_transport_receives_total",
            CONNECTION,
            "Answers received.",
        ),
    ),
    (
        7,
        Family::counter(
            "node_mountstats_nfs_transport_bad_transaction_ids_total",
            CONNECTION,
            "Answers to no call.",
        ),
    ),
    (
        9,
        Family::counter(
            "node_mountstats_nfs_transport_backlog_queue_total",
            CONNECTION,
            "Calls put into the backlog.",
        ),
    ),
    (
        10,
        Family::gauge(
            "node_mountstats_nfs_transport_maximum_rpc_slots",
            CONNECTION,
            "Most calls that ever ran at once.",
        ),
    ),
    (
        11,
        Family::counter(
            "node_mountstats_nfs_transport_sending_queue_total",
            CONNECTION,
            "Calls put into the queue for sending.",
        ),
    ),
    (
        12,
        Family::counter(
            "node_mountstats_nfs_transport_pending_queue_total",
            CONNECTION,
            "Calls put into the queue for answers.",
        ),
    ),
];
/// In the order of the line, with the unit of a second in it.
pub(super) static OPERATIONS: [(f64, Family); 8] = [
    (
        1.0,
        Family::counter(
            "node_mountstats_nfs_operations_requests_total",
            OPERATION,
            "Calls asked for.",
        ),
    ),
    (
        1.0,
        Family::counter(
            "node_mountstats_nfs_operations_transmissions_total",
            OPERATION,
            "Calls sent.",
        ),
    ),
    (
        1.0,
        Family::counter(
            "node_mountstats_nfs_operations_major_timeouts_total",
            OPERATION,
            "Calls that got no answer in time.",
        ),
    ),
    (
        1.0,
        Family::counter(
            "node_mountstats_nfs_operations_sent_bytes_total",
            OPERATION,
            "Bytes sent.",
        ),
    ),
    (
        1.0,
        Family::counter(
            "node_mountstats_nfs_operations_received_bytes_total",
            OPERATION,
            "Bytes received.",
        ),
    ),
    (
        MILLISECONDS,
        Family::counter(
            "node_mountstats_nfs_operations_queue_time_seconds_total",
            OPERATION,
            "Seconds that calls waited to be sent.",
        ),
    ),
    (
        MILLISECONDS,
        Family::counter(
            "node_mountstats_nfs_operations_response_time_seconds_total",
            OPERATION,
            "Seconds that answers took.",
        ),
    ),
    (
        MILLISECONDS,
        Family::counter(
            "node_mountstats_nfs_operations_request_time_seconds_total",
            OPERATION,
            "Seconds that calls took in all.",
        ),
    ),
];
