//! A list that owns its memory.
const std = @import("std");
const Allocator = std.mem.Allocator;

pub const max_items: usize = 1024;
var live: usize = 0;

pub const Error = error{ OutOfMemory, Empty };

/// How the list grows.
pub const Growth = enum {
    double,
    exact,

    pub fn next(self: Growth, n: usize) usize {
        return switch (self) {
            .double => n * 2,
            .exact => n + 1,
        };
    }
};

pub fn List(comptime T: type) type {
    return struct {
        const Self = @This();

        items: []T,
        allocator: Allocator,

        pub fn init(allocator: Allocator) Self {
            return .{ .items = &.{}, .allocator = allocator };
        }

        // The item is copied.
        pub fn append(self: *Self, item: T) Error!void {
            const n = self.items.len;
            self.items = try self.allocator.realloc(self.items, n + 1);
            self.items[n] = item;
        }
    };
}

const Point = struct {
    x: f32 = 0,
    y: f32 = 0,

    pub fn length(self: Point) f32 {
        return @sqrt(self.x * self.x + self.y * self.y);
    }
};

const Value = union(enum) {
    int: i64,
    text: []const u8,
};

fn helper() void {}

export fn lib_version() c_int {
    return 3;
}

test "append" {
    var list = List(u8).init(std.testing.allocator);
    try list.append(1);
}

test helper {
    helper();
}
