import com.google.api.gax.paging.Page;
import com.google.cloud.NoCredentials;
import com.google.cloud.ReadChannel;
import com.google.cloud.WriteChannel;
import com.google.cloud.storage.Blob;
import com.google.cloud.storage.BlobId;
import com.google.cloud.storage.BlobInfo;
import com.google.cloud.storage.Storage;
import com.google.cloud.storage.Storage.BlobListOption;
import com.google.cloud.storage.Storage.BlobTargetOption;
import com.google.cloud.storage.Storage.BlobWriteOption;
import com.google.cloud.storage.Storage.ComposeRequest;
import com.google.cloud.storage.Storage.CopyRequest;
import com.google.cloud.storage.StorageBatch;
import com.google.cloud.storage.StorageException;
import com.google.cloud.storage.StorageOptions;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The scenarios for Google's storage client; see storage_scenarios.py. */
public final class Stored {
  private static final int CHUNK_BYTES = 256 * 1024;
  private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().serializeNulls().create();

  private final Storage storage;
  private final Path inputs;

  private Stored(Storage storage, Path inputs) {
    this.storage = storage;
    this.inputs = inputs;
  }

  private byte[] input(String name) throws IOException {
    return Files.readAllBytes(inputs.resolve(name));
  }

  private static BlobId on(String name) {
    return BlobId.of("shelf", name);
  }

  private static BlobInfo info(String name) {
    return BlobInfo.newBuilder(on(name)).build();
  }

  /** Resumable, a chunk at a time. */
  private void write(String name, byte[] content) throws IOException {
    try (WriteChannel channel = storage.writer(info(name))) {
      channel.setChunkSize(CHUNK_BYTES);
      ByteBuffer left = ByteBuffer.wrap(content);
      while (left.hasRemaining()) {
        channel.write(left);
      }
    }
  }

  private byte[] read(String name, long from, long to) throws IOException {
    try (ReadChannel channel = storage.reader(on(name))) {
      channel.seek(from);
      if (to >= 0) {
        channel.limit(to);
      }
      ByteArrayOutputStream read = new ByteArrayOutputStream();
      Channels.newInputStream(channel).transferTo(read);
      return read.toByteArray();
    }
  }

  private List<String> names(BlobListOption... options) {
    List<String> found = new ArrayList<>();
    for (Blob blob : storage.list("shelf", options).iterateAll()) {
      found.add(blob.getName());
    }
    return found;
  }

  private interface Call {
    Object made() throws Exception;
  }

  /** The HTTP status of a call; the client says null or false where there was nothing. */
  private static int code(Call call) throws Exception {
    try {
      Object result = call.made();
      return result == null || Boolean.FALSE.equals(result) ? 404 : 200;
    } catch (StorageException refused) {
      return refused.getCode();
    } catch (IOException refused) {
      return ((StorageException) refused.getCause()).getCode();
    }
  }

  private static Map<String, Object> said(Object... pairs) {
    Map<String, Object> made = new LinkedHashMap<>();
    for (int at = 0; at < pairs.length; at += 2) {
      made.put((String) pairs[at], pairs[at + 1]);
    }
    return made;
  }

  private Object run(String scenario) throws Exception {
    switch (scenario) {
      case "interrupted":
        write("interrupted.bin", input("large.bin"));
        Blob whole = storage.list("shelf", BlobListOption.prefix("interrupted.bin")).iterateAll().iterator().next();
        return said("size", whole.getSize(), "crc32c", whole.getCrc32c());
      case "corrupted":
        storage.readAllBytes(on("interrupted.bin"));
        return "taken";
      case "upload":
        BlobInfo described =
            BlobInfo.newBuilder(on("small.txt")).setContentType("text/plain").setMetadata(Map.of("colour", "blue")).build();
        storage.create(described, input("small.txt"));
        Blob held = storage.get(on("small.txt"));
        return said(
            "size", held.getSize(),
            "contentType", held.getContentType(),
            "metadata", held.getMetadata(),
            "crc32c", held.getCrc32c(),
            "md5", held.getMd5());
      case "chunks":
        write("large.bin", input("large.bin"));
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(storage.readAllBytes(on("large.bin"))));
      case "wrong-hash":
        BlobInfo wrong = BlobInfo.newBuilder(on("wrong.txt")).setCrc32c("AAAAAA==").build();
        return code(() -> storage.createFrom(wrong, inputs.resolve("small.txt"), BlobWriteOption.crc32cMatch()));
      case "ranges":
        byte[] tail = read("large.bin", storage.get(on("large.bin")).getSize() - 7, -1);
        return List.of(
            HexFormat.of().formatHex(read("large.bin", 10, 20)),
            HexFormat.of().formatHex(tail),
            HexFormat.of().formatHex(read("large.bin", 1 << 20, -1)));
      case "pages":
        for (int number = 0; number < 7; number++) {
          storage.create(info("list/" + number), new byte[] {'x'});
        }
        return names(BlobListOption.prefix("list/"), BlobListOption.pageSize(3));
      case "delimiter":
        for (String name : List.of("tree/a.txt", "tree/b.jpg", "tree/deep/c.txt", "tree/deep/er/d.txt")) {
          storage.create(info(name), new byte[] {'x'});
        }
        List<String> names = new ArrayList<>();
        List<String> prefixes = new ArrayList<>();
        Page<Blob> page = storage.list("shelf", BlobListOption.prefix("tree/"), BlobListOption.currentDirectory());
        for (Blob blob : page.iterateAll()) {
          (blob.isDirectory() ? prefixes : names).add(blob.getName());
        }
        return said("names", names, "prefixes", prefixes);
      case "glob":
        return names(BlobListOption.matchGlob("tree/**.txt"));
      case "preconditions":
        Blob first = storage.create(info("once.txt"), new byte[] {'1'}, BlobTargetOption.doesNotExist());
        int refused = code(() -> storage.create(info("once.txt"), new byte[] {'2'}, BlobTargetOption.doesNotExist()));
        Blob second = storage.create(first.toBuilder().build(), new byte[] {'3'}, BlobTargetOption.generationMatch());
        int old = code(() -> storage.readAllBytes(first.getBlobId()));
        return said("refused", refused, "grew", second.getGeneration() > first.getGeneration(), "old", old);
      case "copy":
        Blob copied = storage.copy(CopyRequest.of(on("small.txt"), on("copy.txt"))).getResult();
        return said("content", new String(copied.getContent()), "contentType", copied.getContentType());
      case "rewrite":
        Blob elsewhere = storage.copy(CopyRequest.of(on("large.bin"), BlobId.of("other", "large.bin"))).getResult();
        return said("bucket", elsewhere.getBucket(), "size", elsewhere.getSize(), "crc32c", elsewhere.getCrc32c());
      case "compose":
        Blob composed = storage.compose(ComposeRequest.of("shelf", List.of("small.txt", "small.txt"), "twice.txt"));
        byte[] small = input("small.txt");
        byte[] twice = Arrays.copyOf(small, 2 * small.length);
        System.arraycopy(small, 0, twice, small.length, small.length);
        return said("same", Arrays.equals(twice, composed.getContent()), "components", composed.getComponentCount());
      case "patch":
        BlobInfo change =
            BlobInfo.newBuilder(on("copy.txt")).setContentType("text/x-note").setMetadata(Map.of("shape", "round")).build();
        Blob patched = storage.update(change);
        return said(
            "contentType", patched.getContentType(),
            "metadata", new TreeMap<>(patched.getMetadata()),
            "metageneration", patched.getMetageneration());
      case "delete":
        storage.delete(on("copy.txt"));
        return List.of(code(() -> storage.get(on("copy.txt"))), code(() -> storage.delete(on("copy.txt"))));
      case "batch":
        StorageBatch batch = storage.batch();
        for (int number = 0; number < 7; number++) {
          batch.delete(on("list/" + number));
        }
        batch.submit();
        return names(BlobListOption.prefix("list/"));
      default:
        throw new IllegalArgumentException("no such scenario: " + scenario);
    }
  }

  public static void main(String[] arguments) {
    StorageOptions options = StorageOptions.getDefaultInstance();
    if (arguments[0].equals("plain")) {
      options =
          StorageOptions.newBuilder()
              .setHost(System.getenv("STORAGE_EMULATOR_HOST"))
              .setCredentials(NoCredentials.getInstance())
              .setProjectId("p")
              .build();
    }
    Stored stored = new Stored(options.getService(), Path.of(arguments[1]));
    for (String scenario : Arrays.asList(arguments).subList(2, arguments.length)) {
      Object result;
      try {
        result = stored.run(scenario);
      } catch (Exception failure) {
        failure.printStackTrace();
        result = scenario.equals("corrupted") ? "refused" : said("message", failure.toString());
      }
      System.out.println(GSON.toJson(said("scenario", scenario, "result", result)));
    }
  }
}
