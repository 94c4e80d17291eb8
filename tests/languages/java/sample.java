package org.example.cache;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** A cache that forgets what was used least recently. */
@SuppressWarnings("serial")
public class LruCache<K, V> extends LinkedHashMap<K, V> {
    public static final int DEFAULT_SIZE = 128;
    private final int size;
    private long hits, misses;

    static {
        System.setProperty("cache", "lru");
    }

    public LruCache(int size) {
        super(16, 0.75f, true);
        this.size = size;
    }

    // Called by put.
    @Override
    protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > size;
    }

    public V load(K key, Function<? super K, ? extends V> loader)
            throws LoadException {
        V value = get(key);
        if (value == null) {
            misses++;
            value = loader.apply(key);
            put(key, value);
        } else {
            hits++;
        }
        return value;
    }

    public enum Policy {
        LRU,
        LFU { @Override boolean fair() { return false; } };

        boolean fair() {
            return true;
        }
    }

    interface Listener<K> {
        int PRIORITY = 1;

        void evicted(K key);

        default void cleared() {}
    }

    public record Stats(long hits, long misses) {
        double rate() {
            return (double) hits / (hits + misses);
        }
    }

    @interface Experimental {
        String since() default "1.0";
    }

    static class LoadException extends Exception {
        LoadException(String message) { super(message); }
    }
}

class Registry {
    private final Map<String, LruCache<?, ?>> caches = new LinkedHashMap<>();

    LruCache<?, ?> find(String name) {
        return caches.get(name)
    }

    Runnable cleaner = () -> caches.clear();
}
