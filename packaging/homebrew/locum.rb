# A formula for a tap. `url` and `sha256` are those of the source archive of a release.
class Locum < Formula
  desc "Stands in for people at Google while they are offline"
  homepage "https://locum.example.org"
  url "https://locum.example.org/releases/locum-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    pkgshare.install "config.toml.example"
    doc.install "docs"
  end

  def caveats
    <<~EOS
      Make a configuration and a root key before the service is started:
        locum --config #{etc}/locum/config.toml init
    EOS
  end

  service do
    run [opt_bin/"locum", "--config", etc/"locum/config.toml", "serve"]
    keep_alive crashed: true
    error_log_path var/"log/locum.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/locum --version")
    # A configuration that is not there is a usage error.
    assert_match "no such file", shell_output("#{bin}/locum --config #{testpath}/none.toml config check 2>&1", 2)
  end
end
